#include "train/run/trainer.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/allocator.h"
#include "core/transfer.h"
#include "train/run/signals.h"
#include "train/weights/weights.h"

namespace tarn::train {
namespace {

using nlohmann::ordered_json;
namespace fs = std::filesystem;

constexpr const char* kConfigFile = "config.toml";

void add(ordered_json& line, const Metrics& metrics) {
  for (const Metric& entry : metrics) line[entry.name] = entry.value;
}

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

std::unique_ptr<optim::Optimizer> optimizer_for(const Config& config, nn::Module& model) {
  const OptimizerConfig& o = config.optimizer;
  return optim::make_optimizer(
      model.parameters(),
      {.kind = o.kind,
       .weight_decay = o.weight_decay,
       .max_grad_norm = o.max_grad_norm,
       .clip = o.clip == "global" ? optim::Clip::global : optim::Clip::per_tensor,
       .beta1 = o.beta1,
       .beta2 = o.beta2,
       .eps = o.eps,
       .momentum = o.momentum});
}

optim::ScheduleOptions schedule_options(const Config& config) {
  const ScheduleConfig& s = config.schedule;
  return {.kind = s.kind,
          .milestones = s.milestones,
          .factor = s.factor,
          .warmup_steps = s.warmup_steps,
          .total_steps = config.train.steps,
          .min_factor = s.min_factor,
          .plateau_factor = s.plateau_factor,
          .patience = s.patience};
}

UpdateBatches run_batches(Task& task, const Config& config, std::int64_t step, ad::Tape& tape) {
  const std::int64_t count = config.train.accumulate;
  UpdateBatches out;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t index = step * count + i;
    ForwardResult result;
    {
      const ad::Recording recording = tape.record();
      result = task.train_batch(index, {true, config.run.seed, static_cast<std::uint32_t>(index),
                                        config.train.recompute});
    }
    out.tokens += result.tokens;
    if (i == 0) out.metrics.assign(result.metrics.size(), {});
    for (std::size_t m = 0; m < out.metrics.size(); ++m) {
      out.metrics[m].name = result.metrics[m].name;
      out.metrics[m].value += result.metrics[m].value / static_cast<double>(count);
    }
    if (!std::isfinite(metric(result.metrics, "loss")) || tape.first_nonfinite()) break;
    tape.backward(result.loss, 1.0 / static_cast<double>(count));
  }
  return out;
}

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

TrainOutcome Trainer::run() {
  const TrainConfig& train = config_.train;
  const auto due = [&](std::int64_t every) { return every > 0 && state_.step % every == 0; };
  while (state_.step < train.steps && !stalled() && signal_received() == 0) {
    train_step();
    const bool last = state_.step == train.steps;
    if (last || due(train.eval_every)) evaluate();
    if (last || due(train.checkpoint_every)) save();
  }
  if (saved_step_ != state_.step) save();
  return {state_.step, last_evaluation_, state_.step < train.steps ? signal_received() : 0};
}

// The best step is in the checkpoint, so that a resumed run stops where it would have.
bool Trainer::stalled() const {
  const std::int64_t patience = config_.train.early_stop * config_.train.eval_every;
  return patience > 0 && state_.best && state_.step - state_.best_step >= patience;
}

double Trainer::learning_rate() const {
  return config_.optimizer.lr *
         optim::learning_rate_factor(schedule_options(config_), state_.step, state_.plateau);
}

void Trainer::train_step() {
  const UpdateBatches batches = run_batches(*task_, config_, state_.step, tape_);
  const double loss = metric(batches.metrics, "loss");
  if (!std::isfinite(loss)) explain_nonfinite(loss, 0);
  StepReport report{0, batches.metrics, learning_rate(), 0, batches.tokens};
  report.grad_norm = optimizer_->step(report.lr);
  if (!std::isfinite(report.grad_norm)) explain_nonfinite(loss, report.grad_norm);
  report.step = ++state_.step;
  progress_.step(report);
  if (state_.step % config_.train.log_every == 0) log(report);
}

void Trainer::log(const StepReport& report) {
  ordered_json line{{"step", report.step}};
  add(line, report.metrics);
  line["lr"] = report.lr;
  line["grad_norm"] = report.grad_norm;
  metrics_.append(line.dump() + "\n");
  // What depends on the machine has a file of its own, so that metrics.jsonl can be compared.
  const MemoryStats memory = allocator(Device::cpu()).stats();
  timing_.append(ordered_json{{"step", report.step},
                              {"seconds_per_step", progress_.seconds_per_step()},
                              {"tokens_per_s", progress_.tokens_per_second()},
                              {"peak_bytes", memory.peak},
                              {"system_blocks", memory.system_blocks}}
                     .dump() +
                 "\n");
}

void Trainer::evaluate() {
  last_evaluation_ = task_->evaluate();
  const double value = metric(last_evaluation_, task_->best_metric());
  const bool best = std::isfinite(value) && (!state_.best || value < *state_.best);
  if (best) {
    state_.best = value;
    state_.best_step = state_.step;
  }
  state_.plateau = optim::observe(schedule_options(config_), state_.plateau, value);
  ordered_json line{{"step", state_.step}};
  add(line["evaluation"], last_evaluation_);
  metrics_.append(line.dump() + "\n");
  progress_.evaluation(state_.step, last_evaluation_, best);
  if (best) save();
}

void Trainer::save() {
  if (saved_step_ == state_.step) return;
  check_weights();
  metrics_.sync();
  state_.metrics_bytes = metrics_.size();
  checkpoints_.save(state_, config_toml_, task_->model(), *optimizer_, config_.train.keep_last);
  saved_step_ = state_.step;
}

// An update can overflow although its gradient was finite; such weights must not replace good ones.
void Trainer::check_weights() {
  for (const ad::Parameter* parameter : task_->model().parameters()) {
    if (ad::is_finite(parameter->value())) continue;
    fail<NonFiniteError>("step ", state_.step, ": ", parameter->name(),
                         " is not finite after the update, which is not saved. ", last_checkpoint(),
                         ". A lower optimizer.lr may help");
  }
}

std::string Trainer::last_checkpoint() const {
  const auto kept = checkpoints_.latest();
  return kept ? "The last checkpoint is " + kept->string() : "No checkpoint was written yet";
}

// The step is repeated with every op recorded and watched: the same addresses draw the same
// numbers.
void Trainer::explain_nonfinite(double loss, double norm) {
  ad::Tape watched;
  watched.watch_nonfinite();
  Config config = config_;
  config.train.recompute = false;  // a layer that runs again in the backward is not watched before
  for (ad::Parameter* parameter : task_->model().parameters()) parameter->clear_grad();
  run_batches(*task_, config, state_.step, watched);
  const auto& first = watched.first_nonfinite();
  const std::string what =
      std::isfinite(loss) ? message("gradient norm (", norm, ")") : message("loss (", loss, ")");
  const std::string where =
      first ? message(first->op, first->in_backward ? "'s gradient" : "", " at or after ",
                      first->near.empty() ? "the input" : first->near)
            : std::string("the update itself");
  fail<NonFiniteError>("step ", state_.step + 1, ": the ", what,
                       " is not finite; it arose first in ", where,
                       ". The weights of this step were not changed. ", last_checkpoint(),
                       ". A lower optimizer.lr or a smaller optimizer.max_grad_norm may help");
}

}  // namespace tarn::train
