// The pool under kernels/cpu/parallel.h: all work is done once, by whoever comes; and it costs
// little while there is none.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <ctime>
#include <numeric>
#include <thread>
#include <vector>

#include "kernels/cpu/parallel.h"
#include "tests/support/threads.h"

namespace tarn::kernels::cpu {
namespace {

double processor_seconds() {
  timespec used{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) + 1e-9 * static_cast<double>(used.tv_nsec);
}

void pause_for(int microseconds) {
  std::this_thread::sleep_for(std::chrono::microseconds(microseconds));
}

// Some pauses are longer than the threads poll and some shorter, so that every way to wait occurs.
void pause_in_turn(std::int64_t i) {
  if (i % 16 == 0) pause_for(static_cast<int>(i % 5) * 40);
}

// Each element counts how often it was reached.
bool each_once(std::int64_t count, std::int64_t slow) {
  std::vector<int> reached(static_cast<std::size_t>(count));
  parallel_for(count, [&](std::int64_t i) {
    ++reached[static_cast<std::size_t>(i)];
    if (i == slow) pause_for(120);
  });
  return std::all_of(reached.begin(), reached.end(), [](int times) { return times == 1; });
}

TEST_CASE("pool: every piece is done once, with more threads than processors too [thread]") {
  for (const std::int64_t threads : {2, 3, 7}) {
    CAPTURE(threads);
    const test::UseThreads use(threads);
    for (std::int64_t i = 0; i < 1000; ++i) {
      pause_in_turn(i);
      REQUIRE(each_once(i % 20, i % 64));
    }
  }
}

// Each phase adds what all elements held after the phase before.
TEST_CASE("pool: a phase of a team sees all of the phase before [thread]") {
  constexpr std::int64_t kCount = 11, kPhases = 6;
  for (const std::int64_t threads : {1, 2, 5}) {
    CAPTURE(threads);
    const test::UseThreads use(threads);
    for (std::int64_t round = 0; round < 500; ++round) {
      pause_in_turn(round);
      std::vector<std::vector<std::int64_t>> values(kPhases + 1,
                                                    std::vector<std::int64_t>(kCount, 1));
      parallel_team(threads, [&](TeamMember& member) {
        for (std::size_t p = 1; p <= kPhases; ++p) {
          member.share(kCount, [&](std::int64_t i) {
            const auto& before = values[p - 1];
            values[p][static_cast<std::size_t>(i)] =
                std::accumulate(before.begin(), before.end(), std::int64_t{0});
            if (round % 32 == 0 && i == round % kCount) pause_for(120);
          });
        }
      });
      REQUIRE(values.back() == std::vector<std::int64_t>(kCount, 1771561));  // 11 to the 6th
    }
  }
}

TEST_CASE("pool: callers on several threads, and a caller inside the pool [thread]") {
  const test::UseThreads use(3);
  std::vector<int> good(3);
  std::vector<std::thread> callers;
  for (int& result : good) {
    callers.emplace_back([&result] {
      for (std::int64_t i = 0; i < 300; ++i) result += each_once(5, i % 32) ? 1 : 0;
    });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK(good == std::vector<int>(3, 300));
  std::vector<int> inner(4);
  parallel_for(4, [&](std::int64_t i) { inner[static_cast<std::size_t>(i)] = each_once(9, 0); });
  CHECK(inner == std::vector<int>(4, 1));
}

TEST_CASE("pool: threads without work take no processor from other programs") {
  const test::UseThreads use(2);
  each_once(8, -1);
  const double before = processor_seconds();
  for (int i = 0; i < 200; ++i) {
    each_once(8, -1);
    pause_for(5000);
  }
  CHECK(processor_seconds() - before < 0.5);  // polling in each gap would take the whole second
}

TEST_CASE("pool: a process made by fork() works without the pool's threads") {
  const test::UseThreads use(3);
  each_once(8, -1);
  const pid_t child = fork();
  if (child == 0) _exit(each_once(50, 3) && each_once(50, 3) ? 0 : 1);
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
}

}  // namespace
}  // namespace tarn::kernels::cpu
