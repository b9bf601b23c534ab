#include "kernels/cpu/team_pauses.h"

#include <doctest/doctest.h>

namespace tarn::kernels::cpu {
namespace {

using namespace std::chrono_literals;

const TeamPauses::Clock::time_point kStart = TeamPauses::Clock::time_point(1h);

TEST_CASE("pool: a team that waited for a thread away from its share makes pauses") {
  TeamPauses pauses;
  CHECK_FALSE(pauses.active(kStart));
  pauses.report(kStart, 5ms, 4ms);
  CHECK(pauses.active(kStart + 1ms));
  CHECK_FALSE(pauses.active(kStart + 11ms));
}

TEST_CASE("pool: waiting that is short, or little of the whole, makes none") {
  TeamPauses pauses;
  pauses.report(kStart, 400us, 300us);  // to be woken takes some time
  pauses.report(kStart, 30ms, 5ms);     // shares are never exactly as long as each other
  CHECK_FALSE(pauses.active(kStart));
}

TEST_CASE("pool: pauses grow to a limit while teams are disturbed, and shrink when they are not") {
  TeamPauses pauses;
  for (int i = 0; i < 20; ++i) pauses.report(kStart, 5ms, 4ms);
  CHECK(pauses.active(kStart + 159ms));
  CHECK_FALSE(pauses.active(kStart + 161ms));
  const auto later = kStart + 1s;
  for (int i = 0; i < 400; ++i) pauses.report(later, 1ms, 0ms);
  CHECK_FALSE(pauses.active(later));
  pauses.report(later, 5ms, 4ms);
  CHECK(pauses.active(later + 9ms));
  CHECK_FALSE(pauses.active(later + 11ms));
}

}  // namespace
}  // namespace tarn::kernels::cpu
