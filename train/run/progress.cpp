#include "train/run/progress.h"

#include <algorithm>
#include <cstdio>

#include "core/allocator.h"
#include "kernels/backend.h"

namespace tarn::train {
namespace {

constexpr double kSmoothing = 0.05;  // the least weight of the newest step in the speeds

// How much of a run must be over before the time that is left is shown.
constexpr std::int64_t kKnownSteps = 4;
constexpr double kKnownSeconds = 2;

std::string describe_metric(const Metric& metric) {
  return message(metric.name, " ", number_text("%.4f", metric.value));
}

}  // namespace

void announce(Device device, std::string_view compute) {
  const std::string products = compute == "f32" ? "" : message(", ", compute, " products");
  std::fprintf(stderr, "device: %s%s\n", kernels::describe(device).c_str(), products.c_str());
}

Progress::Progress(std::int64_t first_step, std::int64_t total_steps, std::int64_t eval_every,
                   Device device)
    : total_steps_(total_steps), eval_every_(eval_every), device_(device) {
  if (first_step > 0) note(message("going on after step ", first_step));
}

// The most telling first, since a narrow terminal shows only these.
std::vector<std::string> Progress::describe(const StepReport& report) const {
  std::vector<std::string> fields{message("step ", report.step, "/", total_steps_)};
  for (const Metric& entry : report.metrics) fields.push_back(describe_metric(entry));
  const std::string left = time_left(report.step);
  if (!left.empty()) {  // behind the loss, which is the first metric
    fields.insert(fields.begin() + (fields.size() > 1 ? 2 : 1), left);
  }
  fields.push_back(number_text("%.0f tokens/s", tokens_per_second_));
  fields.push_back(number_text("lr %.2e", report.lr));
  const auto peak = static_cast<double>(allocator(device_).stats().peak);
  fields.push_back(number_text("memory %.0f MB", peak / 1e6));
  return fields;
}

std::string Progress::time_left(std::int64_t step) const {
  if (step == total_steps_ || steps_seen_ < kKnownSteps || seconds_seen_ < kKnownSeconds) return "";
  const auto steps = static_cast<double>(total_steps_ - step);
  // Beside the last step's.
  const std::int64_t left = (total_steps_ - 1) / eval_every_ - step / eval_every_ + 1;
  const auto evaluations = static_cast<double>(left);
  const double seconds = steps * seconds_per_step_ + evaluations * seconds_per_evaluation_;
  // How long an evaluation takes is not known before the first.
  return message(seconds_per_evaluation_ > 0 ? "eta " : "eta over ", duration_text(seconds));
}

void Progress::step(const StepReport& report) {
  const auto now = Clock::now();
  const double seconds = std::chrono::duration<double>(now - last_step_).count();
  last_step_ = now;
  // A mean over all steps at first. The first step, which allocates memory, is replaced by the
  // second.
  const double weight =
      std::max(kSmoothing, 1 / static_cast<double>(std::max<std::int64_t>(1, steps_seen_)));
  ++steps_seen_;
  seconds_seen_ += seconds;
  const double speed = static_cast<double>(report.tokens) / seconds;
  seconds_per_step_ += weight * (seconds - seconds_per_step_);
  tokens_per_second_ += weight * (speed - tokens_per_second_);
  if (report.step == total_steps_ || status_.due()) status_.show(describe(report));
}

void Progress::evaluation(std::int64_t step, const Metrics& metrics, bool best) {
  std::string text = message("evaluation at step ", step);
  for (const Metric& entry : metrics) text += "  " + describe_metric(entry);
  note(text + (best ? "  (best)" : ""));
  const auto now = Clock::now();
  seconds_per_evaluation_ = std::chrono::duration<double>(now - last_step_).count();
  last_step_ = now;  // the evaluation's time is not the next step's
}

void Progress::note(const std::string& text) { status_.note(text); }

}  // namespace tarn::train
