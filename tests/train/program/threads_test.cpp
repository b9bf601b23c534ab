// How many threads the program takes and how they wait: the user's and the system's settings.
#include <doctest/doctest.h>
#include <sched.h>

#include "tests/support/program.h"

namespace tarn::train {
namespace {

// The line of `tarn info` that starts with the word.
std::string info(const std::string& word, const test::Environment& environment) {
  const std::string out = test::run_program({"info"}, environment).out;
  const std::size_t start = out.find("\n" + word + " ");
  REQUIRE(start != std::string::npos);
  return out.substr(start + 1, out.find('\n', start + 1) - start - 1);
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
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
  CHECK(contains(info("waiting", {{"OMP_WAIT_POLICY", ""}, {"GOMP_SPINCOUNT", ""}}),
                 "polls for at most 50 us, then sleeps"));
  CHECK(contains(info("waiting", {{"OMP_WAIT_POLICY", "PASSIVE"}}), "OMP_WAIT_POLICY=passive"));
  CHECK(contains(info("waiting", {{"OMP_WAIT_POLICY", "active"}}), "OMP_WAIT_POLICY=active"));
  CHECK(contains(info("waiting", {{"OMP_WAIT_POLICY", "active"}, {"GOMP_SPINCOUNT", "30k"}}),
                 "GOMP_SPINCOUNT=30k"));
}

TEST_CASE("threads: OMP_NUM_THREADS, else one for each processor that the program may use") {
  CHECK(contains(info("threads", {{"OMP_NUM_THREADS", "3"}}), "3, as OMP_NUM_THREADS says"));
  const OneProcessor only;
  CHECK(contains(info("threads", {{"OMP_NUM_THREADS", ""}}), "1, one for each processor"));
}

}  // namespace
}  // namespace tarn::train
