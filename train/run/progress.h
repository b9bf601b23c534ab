// What a person sees of a run: a live line on a terminal, plain lines elsewhere.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "core/device.h"
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

// The first line of every command that computes, "device: cuda:0 (emulated)", on standard error.
// With products that are not f32, ", bf16 products" behind it.
void announce(Device device, std::string_view compute = "f32");

// Writes to standard error. The speeds leave evaluations out; the time that is left counts them.
class Progress {
 public:
  // eval_every: steps between evaluations, besides the one after the last step.
  Progress(std::int64_t first_step, std::int64_t total_steps, std::int64_t eval_every,
           Device device);

  void step(const StepReport& report);
  void evaluation(std::int64_t step, const Metrics& metrics, bool best);
  void note(const std::string& text);  // a line of its own

  double tokens_per_second() const { return tokens_per_second_; }  // smoothed
  double seconds_per_step() const { return seconds_per_step_; }    // smoothed

 private:
  using Clock = std::chrono::steady_clock;

  std::vector<std::string> describe(const StepReport& report) const;
  std::string time_left(std::int64_t step) const;  // empty while too little is known

  std::int64_t total_steps_, eval_every_;
  Device device_;  // whose memory is shown
  StatusLine status_;
  Clock::time_point last_step_ = Clock::now();
  double tokens_per_second_ = 0;
  double seconds_per_step_ = 0;
  std::int64_t steps_seen_ = 0;
  double seconds_seen_ = 0;            // in these steps
  double seconds_per_evaluation_ = 0;  // of the last one; 0: there was none
};

}  // namespace tarn::train
