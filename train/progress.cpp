#include "train/progress.h"

#include <unistd.h>

#include <cstdio>

#include "core/allocator.h"

namespace tarn::train {
namespace {

constexpr double kLiveSeconds = 0.1;  // between two states of the live line
constexpr double kPlainSeconds = 10;  // between two plain lines
constexpr double kSmoothing = 0.05;   // the weight of the newest step in the speeds

std::string number(const char* format, double value) {
  char text[64];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

std::string duration(double seconds) {
  const auto s = static_cast<long long>(seconds + 0.5);
  char text[48];
  if (s >= 3600) {
    std::snprintf(text, sizeof text, "%lldh%02lldm", s / 3600, s / 60 % 60);
  } else {
    std::snprintf(text, sizeof text, "%lldm%02llds", s / 60, s % 60);
  }
  return text;
}

std::string describe_metrics(const Metrics& metrics) {
  std::string text;
  for (const Metric& entry : metrics) {
    text += message("  ", entry.name, " ", number("%.4f", entry.value));
  }
  return text;
}

}  // namespace

Progress::Progress(std::int64_t first_step, std::int64_t total_steps)
    : total_steps_(total_steps), terminal_(isatty(STDERR_FILENO) == 1) {
  if (first_step > 0) note(message("going on after step ", first_step));
}

std::string Progress::describe(const StepReport& report) const {
  const double left = seconds_per_step_ * static_cast<double>(total_steps_ - report.step);
  const auto peak = static_cast<double>(allocator(Device::cpu()).stats().peak);
  return message("step ", report.step, "/", total_steps_, describe_metrics(report.metrics), "  lr ",
                 number("%.2e", report.lr), "  ", number("%.0f", tokens_per_second_),
                 " tokens/s  eta ", duration(left), "  memory ", number("%.0f", peak / 1e6), " MB");
}

void Progress::step(const StepReport& report) {
  const auto now = Clock::now();
  const double seconds = std::chrono::duration<double>(now - last_step_).count();
  last_step_ = now;
  const double weight = seconds_per_step_ == 0 ? 1 : kSmoothing;
  const double speed = static_cast<double>(report.tokens) / seconds;
  seconds_per_step_ += weight * (seconds - seconds_per_step_);
  tokens_per_second_ += weight * (speed - tokens_per_second_);

  const double since = std::chrono::duration<double>(now - last_shown_).count();
  const bool last = report.step == total_steps_;
  if (!last && since < (terminal_ ? kLiveSeconds : kPlainSeconds)) return;
  last_shown_ = now;
  if (terminal_) {
    std::fprintf(stderr, "\r\033[K%s", describe(report).c_str());
    std::fflush(stderr);
    live_ = true;
  } else {
    line(describe(report));
  }
}

void Progress::evaluation(std::int64_t step, const Metrics& metrics, bool best) {
  line(message("evaluation at step ", step, describe_metrics(metrics), best ? "  (best)" : ""));
  last_step_ = Clock::now();  // the evaluation's time is not the next step's
}

void Progress::note(const std::string& text) { line(text); }

void Progress::line(const std::string& text) {
  if (live_) std::fputs("\r\033[K", stderr);
  live_ = false;
  std::fprintf(stderr, "%s\n", text.c_str());
}

}  // namespace tarn::train
