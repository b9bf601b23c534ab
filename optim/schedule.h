// Learning rates: a function of the step alone, but for the plateau schedule, whose few numbers of
// memory are plain data in the checkpoint.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tarn::optim {

struct ScheduleOptions {
  std::string kind = "step";                   // constant, step, cosine or plateau
  std::vector<std::int64_t> milestones{3000};  // step: updates after which the rate drops
  double factor = 0.1;                         // step: what it is multiplied by at each
  std::int64_t warmup_steps = 0;               // cosine: linear rise from 0
  std::int64_t total_steps = 10000;            // cosine: where it ends
  double min_factor = 0;                       // cosine and plateau: the floor, a share of the rate
  double plateau_factor = 0.5;                 // plateau: the drop
  std::int64_t patience = 3;                   // plateau: evaluations in a row without improvement
};

// What the plateau schedule has seen. Other schedules leave it alone.
struct PlateauState {
  double best = 0;
  bool any = false;  // whether best holds anything
  std::int64_t bad_evaluations = 0;
  double factor = 1;

  friend bool operator==(const PlateauState&, const PlateauState&) = default;
};

// The share of the base rate for the update after `step` updates (0 for the first).
double learning_rate_factor(const ScheduleOptions& options, std::int64_t step,
                            const PlateauState& plateau);

// The plateau state after an evaluation; `metric` is better when lower.
PlateauState observe(const ScheduleOptions& options, const PlateauState& plateau, double metric);

}  // namespace tarn::optim
