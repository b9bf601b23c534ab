// How a run begins, and how it is resumed.
#include "core/check.h"
#include "train/run/trainer.h"
#include "train/weights/weights.h"

namespace tarn::train {
namespace {

namespace fs = std::filesystem;

// The keys that a resumed run may change: they do not touch what the steps so far would have been,
// as the end of a cosine would.
void check_same_run(const Config& config, const Config& before, const DataFacts& facts,
                    const fs::path& folder) {
  Config allowed = before;
  allowed.run.name = config.run.name;
  allowed.run.threads = config.run.threads;
  allowed.run.device = config.run.device;
  allowed.run.tensorboard = config.run.tensorboard;
  allowed.task.data = config.task.data;
  // The lists of phones are compared, not the names of their files.
  if (facts.contains("phones")) allowed.speech.phones = config.speech.phones;
  allowed.model.weights = config.model.weights;
  allowed.model.compute = config.model.compute;
  allowed.speech.cache = config.speech.cache;
  if (before.schedule.kind != "cosine") allowed.train.steps = config.train.steps;
  allowed.train.eval_every = config.train.eval_every;
  allowed.train.checkpoint_every = config.train.checkpoint_every;
  allowed.train.keep_last = config.train.keep_last;
  allowed.train.log_every = config.train.log_every;
  allowed.train.recompute = config.train.recompute;
  allowed.train.early_stop = config.train.early_stop;
  const std::string differences = describe_differences(allowed, config);
  TARN_CHECK_AS(ConfigError, differences.empty(), "the run in ", folder.string(),
                " was started with another config; to resume it, put these back, or start a new "
                "run with --out, from the weights of this one with --weights:",
                differences);
}

void check_in(const fs::path& folder, const fs::path& checkpoint) {
  const fs::path home = fs::weakly_canonical(folder / "checkpoints");
  TARN_CHECK_AS(IoError, fs::weakly_canonical(checkpoint).parent_path() == home,
                checkpoint.string(), " is not a checkpoint of the run in ", folder.string(),
                "; --out names the run that goes on");
}

// Says what became of the best checkpoint when a run goes on from an older one.
std::string lost_best(const TrainState& before, const TrainState& after) {
  if (before.best_step == after.best_step && after.best == before.best) return "";
  const std::string lost =
      message("the best checkpoint that step ", before.step, " knows of, of step ",
              before.best_step, " (", *before.best, "), is not there any more; ");
  return after.best ? message(lost, "the best of those that are is of step ", after.best_step, " (",
                              *after.best, ")")
                    : message(lost, "the next evaluation makes the best one anew");
}

}  // namespace

std::unique_ptr<Trainer> Trainer::start(const Config& config, const fs::path& folder,
                                        const std::string& weights) {
  RunFolder home(folder);
  home.check_free();
  // Before anything is made, so that data or weights that are missing or wrong leave nothing
  // behind. A run of no steps, which makes a checkpoint of weights, reads no data.
  const Device device = parse_device(config.run.device);
  auto task = config.train.steps > 0 ? make_ready_task(config, device) : make_task(config, device);
  if (!weights.empty()) load_weights(weights, task->model(), task->data_facts());
  auto optimizer = optimizer_for(config, task->model());
  home.begin();
  std::unique_ptr<Trainer> trainer(
      new Trainer(config, std::move(home), std::move(task), std::move(optimizer), {}));
  trainer->save();
  trainer->home_.publish(trainer->config_toml_);
  return trainer;
}

std::unique_ptr<Trainer> Trainer::resume(const Config& config, const fs::path& folder,
                                         const std::optional<fs::path>& checkpoint) {
  RunFolder home(folder);
  TARN_CHECK_AS(IoError, fs::exists(folder), "nothing to resume: there is no folder ",
                folder.string());
  TARN_CHECK_AS(IoError, checkpoint || home.checkpoints().latest(),
                "nothing to resume: ", folder.string(), " holds no checkpoint");
  const fs::path source = checkpoint.value_or(folder);
  check_in(folder, find_checkpoint(source, Prefer::latest));
  home.lock();
  // Only now, since another process may have trained here until a moment ago.
  const Checkpoint opened = open_checkpoint(source, Prefer::latest, Checkpoint::Use::all);
  check_in(folder, opened.directory());
  const Config before = opened.config();
  const DataFacts& facts = opened.state().data;
  check_same_run(config, before, facts, folder);
  Config settings = config;
  take_data_facts(settings, before, facts, opened.directory().string());
  auto task = make_ready_task(settings, parse_device(config.run.device), facts);
  check_same_data(facts, task->data_facts(), opened.directory().string());
  auto optimizer = optimizer_for(config, task->model());
  opened.load_model(task->model());
  opened.load_optimizer(*optimizer);
  home.check_logs(opened.state().metrics_bytes);
  // The pointer `latest` is moved before metrics.jsonl is cut to what that checkpoint knows: a kill
  // between the two leaves a log that is too long, which the next resume cuts.
  const TrainState state = home.checkpoints().rewind_to(opened.state());
  std::unique_ptr<Trainer> trainer(
      new Trainer(config, std::move(home), std::move(task), std::move(optimizer), state));
  trainer->saved_step_ = state.step;
  trainer->home_.publish(trainer->config_toml_);
  if (const std::string note = lost_best(opened.state(), state); !note.empty()) {
    trainer->progress_.note(note);
  }
  return trainer;
}

Trainer::Trainer(const Config& config, RunFolder home, std::unique_ptr<Task> task,
                 std::unique_ptr<optim::Optimizer> optimizer, const TrainState& state)
    : config_(config),
      home_(std::move(home)),
      config_toml_(to_toml(config)),
      task_(std::move(task)),
      optimizer_(std::move(optimizer)),
      checkpoints_(home_.checkpoints()),
      state_(state),
      metrics_(home_.metrics(), state.metrics_bytes),
      timing_(home_.timing(), bytes_of_whole_lines(home_.timing())),
      progress_(state.step, config.train.steps, config.train.eval_every,
                parse_device(config.run.device)) {
  for (const auto& [fact, value] : task_->data_facts()) state_.data[fact] = value;
  if (const std::string note = task_->note(); !note.empty()) progress_.note(note);
}

}  // namespace tarn::train
