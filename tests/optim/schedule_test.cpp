#include "optim/schedule.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <numbers>

#include "core/check.h"

namespace tarn::optim {
namespace {

double factor(const ScheduleOptions& options, std::int64_t step) {
  return learning_rate_factor(options, step, {});
}

TEST_CASE("schedule: constant") {
  for (const std::int64_t step : {0, 1, 3000, 1000000}) {
    CHECK(factor({.kind = "constant"}, step) == 1);
  }
}

TEST_CASE("schedule: step drops the rate for the update after 3,000 of them") {
  const ScheduleOptions authors;
  CHECK(factor(authors, 0) == 1);
  CHECK(factor(authors, 2999) == 1);
  CHECK(factor(authors, 3000) == 0.1);
  CHECK(factor(authors, 3001) == 0.1);
  const ScheduleOptions several{.milestones = {10, 20, 30}, .factor = 0.5};
  CHECK(factor(several, 9) == 1);
  CHECK(factor(several, 10) == 0.5);
  CHECK(factor(several, 20) == 0.25);
  CHECK(factor(several, 1000) == 0.125);
  CHECK(factor({.milestones = {}}, 5000) == 1);
}

TEST_CASE("schedule: cosine rises over the warm-up and falls along half a wave") {
  const ScheduleOptions options{
      .kind = "cosine", .warmup_steps = 4, .total_steps = 104, .min_factor = 0.2};
  const double rise[] = {0.25, 0.5, 0.75, 1};
  for (std::int64_t step = 0; step < 4; ++step) CHECK(factor(options, step) == rise[step]);
  CHECK(factor(options, 4) == 1);
  for (std::int64_t step = 4; step <= 104; ++step) {
    const double done = static_cast<double>(step - 4) / 100;
    const double expected = 0.2 + 0.8 * (1 + std::cos(std::numbers::pi * done)) / 2;
    CHECK(factor(options, step) == doctest::Approx(expected).epsilon(1e-12));
    CHECK(factor(options, step + 1) <= factor(options, step));
  }
  CHECK(factor(options, 54) == doctest::Approx(0.6));
  CHECK(factor(options, 104) == doctest::Approx(0.2));
  CHECK(factor(options, 100000) == doctest::Approx(0.2));  // past the end it stays
  CHECK(factor({.kind = "cosine", .total_steps = 10}, 0) == 1);
  // All warm-up: no division by nothing.
  CHECK(factor({.kind = "cosine", .warmup_steps = 10, .total_steps = 10}, 9) == 1);
}

TEST_CASE("schedule: plateau drops after more than `patience` evaluations without improvement") {
  const ScheduleOptions options{
      .kind = "plateau", .min_factor = 0.2, .plateau_factor = 0.5, .patience = 2};
  PlateauState state;
  const auto see = [&](double metric) {
    state = observe(options, state, metric);
    return learning_rate_factor(options, 0, state);
  };
  CHECK(learning_rate_factor(options, 0, state) == 1);
  CHECK(see(3.0) == 1);
  CHECK(state == PlateauState{3.0, true, 0, 1});
  CHECK(see(2.0) == 1);
  CHECK(see(2.0) == 1);  // equal is no improvement
  CHECK(see(2.5) == 1);
  CHECK(state == PlateauState{2.0, true, 2, 1});
  CHECK(see(2.1) == 0.5);
  CHECK(state == PlateauState{2.0, true, 0, 0.5});
  CHECK(see(2.1) == 0.5);
  CHECK(see(1.9) == 0.5);  // an improvement starts the count again and does not raise the rate
  for (int i = 0; i < 3; ++i) see(5);
  CHECK(state.factor == 0.25);
  for (int i = 0; i < 3; ++i) see(5);
  CHECK(state.factor == 0.2);  // the floor
}

TEST_CASE("schedule: plateau counts an evaluation that is not finite as no improvement") {
  const ScheduleOptions options{.kind = "plateau", .patience = 0};
  const double nan = std::numeric_limits<double>::quiet_NaN();
  PlateauState state = observe(options, {}, nan);
  CHECK_FALSE(state.any);
  CHECK(state.best == 0);
  CHECK(state.factor == 0.5);
  state = observe(options, state, 4.0);
  CHECK(state.best == 4.0);
  state = observe(options, state, nan);
  CHECK(state.best == 4.0);
  CHECK(state.factor == 0.25);
}

TEST_CASE("schedule: other kinds leave the plateau state alone, and unknown kinds are errors") {
  const PlateauState state{1.5, true, 2, 0.25};
  for (const char* kind : {"constant", "step", "cosine"}) {
    CHECK(observe({.kind = kind}, state, 9) == state);
    CHECK(learning_rate_factor({.kind = kind}, 0, state) == 1);
  }
  CHECK_THROWS_WITH_AS(factor({.kind = "linear"}, 0),
                       doctest::Contains("constant, step, cosine, plateau"), ConfigError);
}

}  // namespace
}  // namespace tarn::optim
