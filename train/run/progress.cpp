#include "train/run/progress.h"

#include "core/allocator.h"

namespace tarn::train {
namespace {

constexpr double kSmoothing = 0.05;  // the weight of the newest step in the speeds

std::string describe_metrics(const Metrics& metrics) {
  std::string text;
  for (const Metric& entry : metrics) {
    text += message("  ", entry.name, " ", number_text("%.4f", entry.value));
  }
  return text;
}

}  // namespace

Progress::Progress(std::int64_t first_step, std::int64_t total_steps) : total_steps_(total_steps) {
  if (first_step > 0) note(message("going on after step ", first_step));
}

std::string Progress::describe(const StepReport& report) const {
  const double left = seconds_per_step_ * static_cast<double>(total_steps_ - report.step);
  const auto peak = static_cast<double>(allocator(Device::cpu()).stats().peak);
  return message("step ", report.step, "/", total_steps_, describe_metrics(report.metrics), "  lr ",
                 number_text("%.2e", report.lr), "  ", number_text("%.0f", tokens_per_second_),
                 " tokens/s  eta ", duration_text(left), "  memory ",
                 number_text("%.0f", peak / 1e6), " MB");
}

void Progress::step(const StepReport& report) {
  const auto now = Clock::now();
  const double seconds = std::chrono::duration<double>(now - last_step_).count();
  last_step_ = now;
  const double weight = seconds_per_step_ == 0 ? 1 : kSmoothing;
  const double speed = static_cast<double>(report.tokens) / seconds;
  seconds_per_step_ += weight * (seconds - seconds_per_step_);
  tokens_per_second_ += weight * (speed - tokens_per_second_);
  if (report.step == total_steps_ || status_.due()) status_.show(describe(report));
}

void Progress::evaluation(std::int64_t step, const Metrics& metrics, bool best) {
  note(message("evaluation at step ", step, describe_metrics(metrics), best ? "  (best)" : ""));
  last_step_ = Clock::now();  // the evaluation's time is not the next step's
}

void Progress::note(const std::string& text) { status_.note(text); }

}  // namespace tarn::train
