#include "optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/check.h"

namespace tarn::optim {

double learning_rate_factor(const ScheduleOptions& options, std::int64_t step,
                            const PlateauState& plateau) {
  if (options.kind == "constant") return 1;
  if (options.kind == "step") {
    const auto passed = std::count_if(options.milestones.begin(), options.milestones.end(),
                                      [&](std::int64_t milestone) { return step >= milestone; });
    return std::pow(options.factor, static_cast<double>(passed));
  }
  if (options.kind == "cosine") {
    if (step < options.warmup_steps) {
      return static_cast<double>(step + 1) / static_cast<double>(options.warmup_steps);
    }
    const std::int64_t span = std::max<std::int64_t>(1, options.total_steps - options.warmup_steps);
    const double done =
        std::min(1.0, static_cast<double>(step - options.warmup_steps) / static_cast<double>(span));
    return options.min_factor +
           (1 - options.min_factor) * 0.5 * (1 + std::cos(std::numbers::pi * done));
  }
  TARN_CHECK_AS(ConfigError, options.kind == "plateau", "\"", options.kind,
                "\" is not a kind of schedule; there are constant, step, cosine, plateau");
  return plateau.factor;
}

PlateauState observe(const ScheduleOptions& options, const PlateauState& plateau, double metric) {
  PlateauState next = plateau;
  if (options.kind != "plateau") return next;
  if (std::isfinite(metric) && (!next.any || metric < next.best)) {
    next.any = true;
    next.best = metric;
    next.bad_evaluations = 0;
  } else if (++next.bad_evaluations > options.patience) {
    next.factor = std::max(options.min_factor, next.factor * options.plateau_factor);
    next.bad_evaluations = 0;
  }
  return next;
}

}  // namespace tarn::optim
