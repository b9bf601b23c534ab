// What a status line shows: as many fields as fit, and durations as a person writes them.
#include "train/run/status_line.h"

#include <doctest/doctest.h>
#include <sched.h>

#include <atomic>
#include <thread>

#include "tests/train/tiny_run.h"

namespace tarn::test {
namespace {

TEST_CASE("status line: durations as a person writes them") {
  const std::vector<std::pair<double, std::string>> expected = {{0, "0 s"},
                                                                {0.0432, "0.043 s"},
                                                                {9.94, "9.9 s"},
                                                                {9.96, "10 s"},
                                                                {21.4, "21 s"},
                                                                {59.7, "1 min"},
                                                                {200, "3 min 20 s"},
                                                                {599.6, "10 min"},
                                                                {750, "13 min"},
                                                                {3599, "1 h"},
                                                                {15000, "4 h 10 min"},
                                                                {35999, "10 h"},
                                                                {52800, "15 h"},
                                                                {86399, "1 day"},
                                                                {90000, "1 day 1 h"},
                                                                {187200, "2 days 4 h"},
                                                                {863999, "10 days"},
                                                                {60904.5 * 60, "42 days"}};
  for (const auto& [seconds, text] : expected) CHECK(train::duration_text(seconds) == text);
}

TEST_CASE("status line: fields that do not fit are left out, from the right") {
  const std::vector<std::string> fields = {"step 1/10", "loss 2.0", "lr 0.1"};
  CHECK(train::fit_fields(fields, 1000) == "step 1/10  loss 2.0  lr 0.1");
  CHECK(train::fit_fields(fields, 27) == "step 1/10  loss 2.0  lr 0.1");
  CHECK(train::fit_fields(fields, 26) == "step 1/10  loss 2.0");
  CHECK(train::fit_fields(fields, 10) == "step 1/10");
  CHECK(train::fit_fields(fields, 4) == "step");
  CHECK(train::fit_fields({}, 4).empty());
}

// This thread and the program's share one processor, which is as busy as wanted.
TEST_CASE("status line: --dry-run tells how the times differ, and that the machine was busy") {
  cpu_set_t before, one;
  REQUIRE(sched_getaffinity(0, sizeof before, &before) == 0);
  CPU_ZERO(&one);
  for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++cpu) {
    if (CPU_ISSET(cpu, &before)) CPU_SET(cpu, &one);
  }
  REQUIRE(sched_setaffinity(0, sizeof one, &one) == 0);
  std::atomic<bool> stop{false};
  std::thread busy([&] {
    while (!stop) {
    }
  });
  const TinyRuns runs;
  const Outcome outcome = run_program(runs.train("run", {"train.batch_size=200"}, {"--dry-run"}));
  stop = true;
  busy.join();
  REQUIRE(sched_setaffinity(0, sizeof before, &before) == 0);
  INFO(outcome.out);
  CHECK(outcome.code == 0);
  CHECK(contains(outcome.out, " to "));
  CHECK(contains(outcome.out, " steps) and "));
  CHECK(contains(outcome.out, "the machine was busy"));
}

}  // namespace
}  // namespace tarn::test
