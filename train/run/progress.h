// What a person sees of a run: a live line on a terminal, plain lines elsewhere.
#pragma once

#include <chrono>
#include <string>

#include "train/run/status_line.h"
#include "train/tasks/task.h"

namespace tarn::train {

struct StepReport {
  std::int64_t step = 0;  // updates done
  Metrics metrics;
  double lr = 0;
  double grad_norm = 0;
  std::int64_t tokens = 0;
};

// Writes to standard error. Speeds are means since the last report of the same kind.
class Progress {
 public:
  Progress(std::int64_t first_step, std::int64_t total_steps);

  void step(const StepReport& report);
  void evaluation(std::int64_t step, const Metrics& metrics, bool best);
  void note(const std::string& text);  // a line of its own

  double tokens_per_second() const { return tokens_per_second_; }  // smoothed
  double seconds_per_step() const { return seconds_per_step_; }    // smoothed

 private:
  using Clock = std::chrono::steady_clock;

  std::string describe(const StepReport& report) const;

  std::int64_t total_steps_;
  StatusLine status_;
  Clock::time_point last_step_ = Clock::now();
  double tokens_per_second_ = 0;
  double seconds_per_step_ = 0;
};

}  // namespace tarn::train
