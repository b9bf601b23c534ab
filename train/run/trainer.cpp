#include "train/run/trainer.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/allocator.h"
#include "core/transfer.h"
#include "train/run/signals.h"

namespace tarn::train {
namespace {

using nlohmann::ordered_json;
void add(ordered_json& line, const Metrics& metrics) {
  for (const Metric& entry : metrics) line[entry.name] = entry.value;
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

// The lowest evaluation is in the checkpoint, so that a resumed run stops where it would have.
bool is_complete(const TrainConfig& train, const TrainState& state) {
  const std::int64_t patience = train.early_stop * train.eval_every;
  const bool stalled = patience > 0 && state.lowest && state.step - state.lowest_step >= patience;
  return !state.evaluation_due && (state.step >= train.steps || stalled);
}

TrainOutcome Trainer::run() {
  const TrainConfig& train = config_.train;
  const auto due = [&](std::int64_t every) {
    return state_.step == train.steps || (every > 0 && state_.step % every == 0);
  };
  // One that was interrupted may not be wanted any more.
  state_.evaluation_due = state_.evaluation_due && due(train.eval_every);
  if (config_.run.tensorboard && home_) events_.emplace(home_->tensorboard(), read_log(*home_));
  try {
    while (!complete()) {
      stop_if_asked();
      if (!state_.evaluation_due) {
        train_step();
        state_.evaluation_due = due(train.eval_every);
      }
      if (state_.evaluation_due) evaluate();
      if (due(train.checkpoint_every)) save();
    }
  } catch (const Interrupted&) {
    // Half an update and half an evaluation are dropped: the state is still that of the last step.
    // In an evaluation the processes of a run agree by all noting a signal.
    if (stop_signal_ == 0) stop_signal_ = signal_received();
  }
  save();
  const int signal = ranks_.alone() ? signal_received() : stop_signal_;
  return {state_.step, last_evaluation_, complete() ? 0 : signal};
}

void Trainer::stop_if_asked() const {
  stop_if_signalled();
  if (stop_signal_ != 0) throw Interrupted();
}

double Trainer::learning_rate() const {
  return config_.optimizer.lr *
         optim::learning_rate_factor(schedule_options(config_), state_.step, state_.plateau);
}

void Trainer::train_step() {
  const std::int64_t sent = ranks_.bytes_sent();
  const UpdateBatches batches = run_batches(*task_, config_, state_.step, tape_, ranks_);
  const double lr = learning_rate();
  PendingStep step{optimizer_->queue(lr, batches.totals), lr, batches.tokens,
                   ranks_.bytes_sent() - sent, batches.exchange};
  settle();
  pending_ = std::move(step);
  ++state_.step;
  // The CPU has done all of it already.
  if (batches.totals.device() == Device::cpu()) settle();
  if (batches.stop && !ranks_.alone()) {
    stop_signal_ = static_cast<int>(ranks_.largest(signal_received()));
  }
}

void Trainer::settle() {
  if (!pending_) return;
  PendingStep step = std::move(*pending_);
  pending_.reset();
  const optim::UpdateFigures figures = optimizer_->finish(step.update);
  StepReport report{state_.step, mean_metrics(*task_, figures.watched, config_.train.accumulate),
                    step.lr, figures.norm, step.tokens};
  const double loss = metric(report.metrics, "loss");
  if (!std::isfinite(loss) || !std::isfinite(figures.norm)) {
    --state_.step;  // this one changed nothing, nor did what was asked for after it
    explain_nonfinite(loss, figures.norm);
  }
  progress_.step(report);
  if (report.step % config_.train.log_every == 0) log(report, step);
}

void Trainer::log(const StepReport& report, const PendingStep& step) {
  ordered_json line{{"step", report.step}};
  add(line, report.metrics);
  line["lr"] = report.lr;
  line["grad_norm"] = report.grad_norm;
  // What depends on the machine has a file of its own, so that metrics.jsonl can be compared.
  const MemoryStats memory = allocator(task_->model().device()).stats();
  ordered_json timing{{"step", report.step},
                      {"time", unix_time()},
                      {"seconds_per_step", progress_.seconds_per_step()},
                      {"tokens_per_s", progress_.tokens_per_second()},
                      {"peak_bytes", memory.peak},
                      {"system_blocks", memory.system_blocks}};
  if (!ranks_.alone()) {
    const auto [seconds, hidden] = step.exchange;
    timing["bytes_sent"] = step.bytes_sent;
    timing["exchange_seconds"] = seconds;
    timing["exchange_hidden"] = seconds > 0 ? hidden / seconds : 0;  // a share
  }
  write(line.dump(), timing.dump());
}

void Trainer::write(const std::string& metrics, const std::string& timing) {
  if (!home_) return;
  metrics_->append(metrics + "\n");
  if (!timing.empty()) timing_->append(timing + "\n");
  if (!events_) return;
  // From the text, as when the events are made anew of the log.
  LogLine line = parse_metrics_line(metrics, home_->metrics());
  if (!timing.empty()) add_timing_line(line, timing, home_->timing());
  events_->append(line);
}

void Trainer::evaluate() {
  settle();
  last_evaluation_ = task_->evaluate(ranks_);
  const double value = metric(last_evaluation_, best_metric(config_.task.kind));
  const bool finite = std::isfinite(value);
  if (finite && (!state_.lowest || value < *state_.lowest)) {
    state_.lowest = value;
    state_.lowest_step = state_.step;
  }
  // Of equal ones the later is the best: it has learnt longer.
  const bool best = finite && (!state_.best || value <= *state_.best);
  if (best) {
    state_.best = value;
    state_.best_step = state_.step;
  }
  state_.evaluation_due = false;
  saved_step_ = -1;  // a checkpoint that an interrupted evaluation left is without this one
  state_.plateau = optim::observe(schedule_options(config_), state_.plateau, value);
  ordered_json line{{"step", state_.step}};
  add(line["evaluation"], last_evaluation_);
  write(line.dump(), "");
  progress_.evaluation(state_.step, last_evaluation_, best);
  if (best) save();
}

void Trainer::save() {
  settle();
  if (saved_step_ == state_.step) return;
  ranks_.together([this] { write_checkpoint(); });
  saved_step_ = state_.step;
}

void Trainer::write_checkpoint() {
  check_weights();
  if (!home_) return;
  metrics_->sync();
  state_.metrics_bytes = metrics_->size();
  home_->checkpoints().save(state_, config_toml_, task_->model(), *optimizer_,
                            config_.train.keep_last);
}

// An update can overflow although its gradient was finite; such weights must not replace good ones.
void Trainer::check_weights() {
  if (const ad::Parameter* parameter = ad::find_nonfinite(task_->model().parameters())) {
    fail<NonFiniteError>("step ", state_.step, ": ", parameter->name(),
                         " is not finite after the update, which is not saved. ", last_checkpoint(),
                         ". A lower optimizer.lr may help");
  }
}

std::string Trainer::last_checkpoint() const {
  if (!home_) return "The last checkpoint is as it was";
  const auto kept = home_->checkpoints().latest();
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
  const auto [from, count] = data::range_of({ranks_.rank(), ranks_.size()}, config.train.shards);
  for (std::int64_t s = from; s < from + count && !watched.first_nonfinite(); ++s) {
    run_shard(*task_, config, state_.step, {s, config.train.shards}, watched);
  }
  const auto& first = watched.first_nonfinite();
  const std::string what =
      std::isfinite(loss) ? message("gradient norm (", norm, ")") : message("loss (", loss, ")");
  const std::string where =
      first ? message(first->op, first->in_backward ? "'s gradient" : "", " at or after ",
                      first->near.empty() ? "the input" : first->near)
            : std::string("the update itself");
  const auto stop = [&] {
    fail<NonFiniteError>("step ", state_.step + 1, ": the ", what,
                         " is not finite; it arose first in ", where,
                         ". The weights of this step were not changed. ", last_checkpoint(),
                         ". A lower optimizer.lr or a smaller optimizer.max_grad_norm may help");
  };
  // The processes that found nothing hear it from the first of those that did.
  ranks_.together([&] {
    if (first) stop();
  });
  ranks_.together(stop);
}

}  // namespace tarn::train
