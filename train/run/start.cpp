// How a run begins, and how it is resumed.
#include "core/check.h"
#include "train/run/trainer.h"
#include "train/weights/weights.h"

namespace tarn::train {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConfigFile = "config.toml";

// The keys that a resumed run may change: they do not touch what the steps so far would have been,
// as the end of a cosine would.
void check_same_run(const Config& config, const Config& before, const fs::path& folder) {
  Config wanted = before;
  wanted.run.name = config.run.name;
  wanted.run.threads = config.run.threads;
  wanted.run.device = config.run.device;
  wanted.task.data = config.task.data;
  wanted.model.weights = config.model.weights;
  wanted.speech.cache = config.speech.cache;
  if (before.schedule.kind != "cosine") wanted.train.steps = config.train.steps;
  wanted.train.eval_every = config.train.eval_every;
  wanted.train.checkpoint_every = config.train.checkpoint_every;
  wanted.train.keep_last = config.train.keep_last;
  wanted.train.log_every = config.train.log_every;
  wanted.train.recompute = config.train.recompute;
  wanted.train.early_stop = config.train.early_stop;
  const std::string differences = describe_differences(wanted, config);
  TARN_CHECK_AS(ConfigError, differences.empty(), "the run in ", folder.string(),
                " was started with another config; to resume it, put these back, or start a new "
                "run with --out, from the weights of this one with --weights:",
                differences);
}

std::int64_t size_or_zero(const fs::path& file) {
  return fs::exists(file) ? static_cast<std::int64_t>(fs::file_size(file)) : 0;
}

}  // namespace

std::unique_ptr<Trainer> Trainer::start(const Config& config, const fs::path& folder,
                                        const std::string& weights) {
  TARN_CHECK_AS(IoError, !fs::exists(folder / kConfigFile), folder.string(),
                " holds a run already; go on with it with --resume, or choose another --out");
  // First, so that data or weights that are missing or wrong are found before anything is written.
  // A run of no steps, which makes a checkpoint of weights, reads no data.
  const Device device = parse_device(config.run.device);
  auto task = config.train.steps > 0 ? make_ready_task(config, device) : make_task(config, device);
  if (!weights.empty()) load_weights(weights, task->model());
  make_directories(folder);
  return std::unique_ptr<Trainer>(new Trainer(config, folder, std::move(task), {}, nullptr));
}

std::unique_ptr<Trainer> Trainer::resume(const Config& config, const fs::path& folder,
                                         const std::optional<fs::path>& checkpoint) {
  TARN_CHECK_AS(IoError, fs::exists(folder), "nothing to resume: there is no folder ",
                folder.string());
  TARN_CHECK_AS(IoError, checkpoint || CheckpointFolder(folder / "checkpoints").latest(),
                "nothing to resume: ", folder.string(), " holds no checkpoint");
  const Checkpoint opened(checkpoint ? find_checkpoint(*checkpoint, false)
                                     : find_checkpoint(folder, false));
  const fs::path home = fs::weakly_canonical(folder / "checkpoints");
  TARN_CHECK_AS(IoError, fs::weakly_canonical(opened.directory()).parent_path() == home,
                opened.directory().string(), " is not a checkpoint of the run in ", folder.string(),
                "; --out names the run that goes on");
  const std::string source = (opened.directory() / kConfigFile).string();
  check_same_run(config, parse_config(opened.config_toml(), source), folder);
  auto task = make_ready_task(config, parse_device(config.run.device));
  return std::unique_ptr<Trainer>(
      new Trainer(config, folder, std::move(task), opened.state(), &opened));
}

Trainer::Trainer(const Config& config, const fs::path& folder, std::unique_ptr<Task> task,
                 const TrainState& state, const Checkpoint* checkpoint)
    : config_(config),
      folder_(folder),
      config_toml_(to_toml(config)),
      lock_(folder / ".lock"),
      task_(std::move(task)),
      optimizer_(optimizer_for(config, task_->model())),
      checkpoints_(folder / "checkpoints"),
      state_(state),
      metrics_(folder / "metrics.jsonl", state.metrics_bytes),
      timing_(folder / "timing.jsonl", size_or_zero(folder / "timing.jsonl")),
      progress_(state.step, config.train.steps) {
  if (const std::string note = task_->note(); !note.empty()) progress_.note(note);
  if (checkpoint != nullptr) {
    checkpoint->load_model(task_->model());
    checkpoint->load_optimizer(*optimizer_);
    checkpoints_.rewind_to(state_);
    saved_step_ = state_.step;
  } else {
    checkpoints_.clear();
    save();
  }
  // Last: a folder without it holds no run, however far its making got.
  write_file_atomically(folder / kConfigFile, config_toml_);
}

}  // namespace tarn::train
