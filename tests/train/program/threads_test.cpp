// How many threads the program takes and how they wait: the user's and the system's settings.
#include <doctest/doctest.h>
#include <sched.h>
#include <signal.h>

#include <chrono>
#include <fstream>
#include <iterator>
#include <thread>

#include "tests/support/program.h"
#include "tests/train/tiny_run.h"

namespace tarn::train {
namespace {

// The line of `tarn info` that starts with the word.
std::string line_of(const std::string& out, const std::string& word) {
  const std::size_t start = out.find("\n" + word + " ");
  REQUIRE(start != std::string::npos);
  return out.substr(start + 1, out.find('\n', start + 1) - start - 1);
}

std::string info(const std::string& word, const test::Environment& environment) {
  return line_of(test::run_program({"info"}, environment).out, word);
}

// Children may run on one processor only while one of these lives.
class OneProcessor {
 public:
  OneProcessor() {
    REQUIRE(sched_getaffinity(0, sizeof before_, &before_) == 0);
    cpu_set_t one;
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++i) {
      if (CPU_ISSET(i, &before_)) CPU_SET(i, &one);
    }
    REQUIRE(sched_setaffinity(0, sizeof one, &one) == 0);
  }
  ~OneProcessor() { sched_setaffinity(0, sizeof before_, &before_); }

 private:
  cpu_set_t before_;
};

TEST_CASE("threads: they poll briefly and then sleep, unless the user says otherwise") {
  CHECK(test::contains(info("waiting", {{"OMP_WAIT_POLICY", ""}, {"GOMP_SPINCOUNT", ""}}),
                       "polls for at most 50 us, then sleeps"));
  CHECK(
      test::contains(info("waiting", {{"OMP_WAIT_POLICY", "PASSIVE"}}), "OMP_WAIT_POLICY=passive"));
  CHECK(test::contains(info("waiting", {{"OMP_WAIT_POLICY", "active"}}), "OMP_WAIT_POLICY=active"));
  CHECK(test::contains(info("waiting", {{"OMP_WAIT_POLICY", "active"}, {"GOMP_SPINCOUNT", "30k"}}),
                       "GOMP_SPINCOUNT=30k"));
}

TEST_CASE("threads: OMP_NUM_THREADS, else one for each processor that the program may use") {
  CHECK(test::contains(info("threads", {{"OMP_NUM_THREADS", "3"}}), "3, as OMP_NUM_THREADS says"));
  const OneProcessor only;
  // Unset, not empty, which LLVM's OpenMP does not survive.
  const test::Outcome unset = test::run_script("unset OMP_NUM_THREADS; \"$TARN\" info");
  CHECK(test::contains(line_of(unset.out, "threads"), "1, one for each processor"));
}

// The value behind a key in a file of /proc such as a status; empty if the process is gone.
std::string value_in(const std::filesystem::path& file, const std::string& key) {
  std::ifstream lines(file);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(key + ":"))
      return line.substr(line.find_first_not_of(" \t", key.size() + 1));
  }
  return "";
}

// Until it is true; false if it never is within a minute.
template <class Condition>
bool comes_true(const Condition& condition) {
  const auto limit = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > limit) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

TEST_CASE("threads: they run where GOMP_CPU_AFFINITY puts them") {
#if defined(__clang__)
  MESSAGE("skipped: LLVM's OpenMP does not say where GOMP_CPU_AFFINITY puts threads");
  return;
#endif
  std::string first;  // of the processors that this process may use
  for (const char c : value_in("/proc/self/status", "Cpus_allowed_list")) {
    if (c < '0' || c > '9') break;
    first += c;
  }
  const test::Program bench(
      {"bench", "contention", "--busy", "0", "--threads", "3", "--rounds", "100"},
      {{"GOMP_CPU_AFFINITY", first}, {"OPENBLAS_NUM_THREADS", "1"}});
  const std::filesystem::path tasks = "/proc/" + std::to_string(bench.id()) + "/task";
  CHECK(comes_true([&] {
    int bound = 0;
    for (const auto& task : std::filesystem::directory_iterator(tasks)) {
      bound += value_in(task.path() / "status", "Cpus_allowed_list") == first ? 1 : 0;
    }
    return bound == 3;
  }));
}

TEST_CASE("bench contention: its busy programs end with it, even if it is killed") {
  test::Program bench({"bench", "contention", "--busy", "2", "--rounds", "100"});
  const std::string id = std::to_string(bench.id());
  std::vector<std::string> children;
  REQUIRE(comes_true([&] {
    std::ifstream list("/proc/" + id + "/task/" + id + "/children");
    children.assign(std::istream_iterator<std::string>(list), {});
    return children.size() == 2;
  }));
  bench.send(SIGKILL);
  bench.wait();
  for (const std::string& child : children) {
    CHECK(comes_true([&] {
      const std::string state = value_in("/proc/" + child + "/status", "State");
      return state.empty() || state.front() == 'Z';
    }));
  }
}

}  // namespace
}  // namespace tarn::train
