// How a run begins, and how it is resumed.
#include <nlohmann/json.hpp>

#include "core/check.h"
#include "core/io/json.h"
#include "train/run/alike.h"
#include "train/run/signals.h"
#include "train/run/trainer.h"
#include "train/weights/weights.h"

namespace tarn::train {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// The keys that a resumed run may change: they do not touch what the steps so far would have been,
// as the end of a cosine would.
void check_same_run(const Config& config, const Config& before, const DataFacts& facts,
                    const fs::path& folder) {
  Config allowed = before;
  allowed.run.name = config.run.name;
  allowed.run.threads = config.run.threads;
  allowed.run.device = config.run.device;
  allowed.run.tensorboard = config.run.tensorboard;
  allowed.run.timeout = config.run.timeout;
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

// Opens the checkpoint that a run goes on from, and locks its folder.
Checkpoint open_to_resume(const Config& config, RunFolder& home,
                          const std::optional<fs::path>& checkpoint) {
  const fs::path folder = home.path();
  TARN_CHECK_AS(IoError, fs::exists(folder), "nothing to resume: there is no folder ",
                folder.string());
  TARN_CHECK_AS(IoError, checkpoint || home.checkpoints().latest(),
                "nothing to resume: ", folder.string(), " holds no checkpoint");
  const fs::path source = checkpoint.value_or(folder);
  check_in(folder, find_checkpoint(source, Prefer::latest));
  home.lock();
  // Only now, since another process may have trained here until a moment ago.
  Checkpoint opened = open_checkpoint(source, Prefer::latest, Checkpoint::Use::all);
  check_in(folder, opened.directory());
  check_same_run(config, opened.config(), opened.state().data, folder);
  return opened;
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
                                        const std::string& weights, Communicator& ranks) {
  std::optional<RunFolder> home;
  std::unique_ptr<Task> task;
  std::unique_ptr<optim::Optimizer> optimizer;
  // Before anything is made, so that data or weights that are missing or wrong leave nothing
  // behind. A run of no steps, which makes a checkpoint of weights, reads no data.
  ranks.together([&] {
    if (ranks.first()) home.emplace(folder).check_free();
    const Device device = parse_device(config.run.device);
    task = config.train.steps > 0 ? make_ready_task(config, device) : make_task(config, device);
    optimizer = optimizer_for(config, task->model());
    if (home && !weights.empty()) load_weights(weights, task->model(), task->data_facts());
  });
  check_alike(ranks, config, [&] { return facts_of(*task); });
  ranks.together([&] {
    if (home) home->begin();
  });
  std::unique_ptr<Trainer> trainer(
      new Trainer(config, std::move(home), std::move(task), std::move(optimizer), {}, ranks));
  trainer->share_state();
  trainer->save();
  trainer->publish();
  return trainer;
}

std::unique_ptr<Trainer> Trainer::resume(const Config& config, const fs::path& folder,
                                         const std::optional<fs::path>& checkpoint,
                                         Communicator& ranks) {
  std::optional<RunFolder> home;
  std::optional<Checkpoint> opened;
  json known;  // what all must know of the checkpoint, which the first process alone may see
  ranks.together([&] {
    if (!ranks.first()) return;
    home.emplace(folder);
    opened.emplace(open_to_resume(config, *home, checkpoint));
    known = {{"data", opened->state().data},
             {"config", to_toml(opened->config())},
             {"name", opened->directory().string()}};
  });
  known = parse_json(ranks.broadcast(known.dump()), "the first process");
  const DataFacts facts = known.at("data");
  const std::string name = known.at("name");
  std::unique_ptr<Task> task;
  std::unique_ptr<optim::Optimizer> optimizer;
  ranks.together([&] {
    Config settings = config;
    take_data_facts(settings, parse_config(known.at("config").get<std::string>(), name), facts,
                    name);
    task = make_ready_task(settings, parse_device(config.run.device), facts);
    check_same_data(facts, task->data_facts(), name);
    optimizer = optimizer_for(config, task->model());
  });
  check_alike(ranks, config, [&] { return facts_of(*task); });
  TrainState state;
  ranks.together([&] {
    if (!opened) return;
    opened->load_model(task->model());
    opened->load_optimizer(*optimizer);
    home->check_logs(opened->state().metrics_bytes);
    // The pointer `latest` is moved before metrics.jsonl is cut to what that checkpoint knows: a
    // kill between the two leaves a log that is too long, which the next resume cuts.
    state = home->checkpoints().rewind_to(opened->state());
  });
  std::unique_ptr<Trainer> trainer(
      new Trainer(config, std::move(home), std::move(task), std::move(optimizer), state, ranks));
  trainer->share_state();
  trainer->saved_step_ = trainer->state_.step;
  trainer->publish();
  if (!opened) return trainer;
  if (const std::string note = lost_best(opened->state(), state); !note.empty()) {
    trainer->progress_.note(note);
  }
  return trainer;
}

Trainer::Trainer(const Config& config, std::optional<RunFolder> home, std::unique_ptr<Task> task,
                 std::unique_ptr<optim::Optimizer> optimizer, const TrainState& state,
                 Communicator& ranks)
    : config_(config),
      ranks_(ranks),
      home_(std::move(home)),
      config_toml_(to_toml(config)),
      task_(std::move(task)),
      optimizer_(std::move(optimizer)),
      state_(state),
      progress_(state.step, config.train.steps, config.train.eval_every,
                parse_device(config.run.device)) {
  if (home_) {
    metrics_.emplace(home_->metrics(), state.metrics_bytes);
    timing_.emplace(home_->timing(), bytes_of_whole_lines(home_->timing()));
  }
  for (const auto& [fact, value] : task_->data_facts()) state_.data[fact] = value;
  if (const std::string note = task_->note(); !note.empty()) progress_.note(note);
  if (!ranks_.alone()) leave_stopping_to_agreement();
}

void Trainer::share_state() {
  if (ranks_.alone()) return;
  const json first = parse_json(ranks_.broadcast(state_json(state_, *optimizer_).dump()), "rank 0");
  state_ = state_from_json(first);
  optimizer_->set_updates(first.at("updates"));
  std::vector<Tensor> tensors;
  for (const ad::Parameter* p : task_->model().parameters()) tensors.push_back(p->value());
  for (const nn::Buffer& buffer : task_->model().buffers()) tensors.push_back(buffer.value);
  for (const optim::NamedState& moment : optimizer_->state()) tensors.push_back(moment.value);
  for (const Tensor& tensor : tensors) ranks_.broadcast(tensor);
}

void Trainer::publish() {
  ranks_.together([this] {
    if (home_) home_->publish(config_toml_);
  });
}

}  // namespace tarn::train
