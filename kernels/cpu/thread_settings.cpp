#include "kernels/cpu/thread_settings.h"

#include <omp.h>

#include <cmath>
#include <cstdlib>
#include <sstream>

#include "core/check.h"
#include "kernels/cpu/cpu_quota.h"

namespace tarn::kernels::cpu {
namespace {

using std::chrono::nanoseconds;

// Polling this long costs little beside the milliseconds for which the system lets another program
// run, and it spares the threads a sleep in each gap between the kernels of a step.
constexpr SpinLimits kShort = {std::chrono::microseconds(2), std::chrono::microseconds(50)};
constexpr nanoseconds kForever = std::chrono::minutes(5);  // OpenMP's "active"

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

// "20000", "30k", "infinite": OpenMP takes 100,000 of its spins for a millisecond. Text that is not
// understood is ignored, as OpenMP does, which also warns of it.
bool parse_spins(const std::string& text, nanoseconds& limit) {
  if (text == "infinite" || text == "infinity") {
    limit = kForever;
    return true;
  }
  std::istringstream in(text);
  double spins = 0;
  std::string suffix;
  if (!(in >> spins) || spins < 0) return false;
  in >> suffix;
  const std::string powers = "kmgt";
  if (suffix.size() > 1) return false;
  if (!suffix.empty()) {
    const std::size_t power = powers.find(suffix);
    if (power == std::string::npos) return false;
    spins *= std::pow(1000, static_cast<double>(power + 1));
  }
  const double most = static_cast<double>(kForever.count());
  limit = nanoseconds(static_cast<std::int64_t>(std::min(10 * spins, most)));
  return true;
}

void choose_waiting(ThreadSettings& settings) {
  const std::string policy = lower(variable("OMP_WAIT_POLICY")), spins = variable("GOMP_SPINCOUNT");
  nanoseconds limit{};
  if (parse_spins(lower(spins), limit)) {
    settings.spin = {limit, limit};
    settings.waiting = "polls as GOMP_SPINCOUNT=" + spins + " says, then sleeps";
  } else if (policy == "active" || policy == "passive") {
    limit = policy == "active" ? kForever : nanoseconds(0);
    settings.spin = {limit, limit};
    settings.waiting =
        (policy == "active" ? "polls" : "sleeps") + (" as OMP_WAIT_POLICY=" + policy + " says");
  } else {
    settings.spin = kShort;
    settings.waiting = "polls for at most " +
                       std::to_string(kShort.longest / std::chrono::microseconds(1)) +
                       " us, then sleeps";
  }
}

void choose_threads(ThreadSettings& settings) {
  settings.threads = std::min(omp_get_max_threads(), omp_get_thread_limit());
  if (!variable("OMP_NUM_THREADS").empty()) {
    settings.threads_reason = "as OMP_NUM_THREADS says";
    return;
  }
  settings.threads_reason = "one for each processor that this process may use";
  const auto quota = cpu_quota();
  if (!quota || *quota > static_cast<double>(settings.threads - 1)) return;
  settings.threads = static_cast<std::int64_t>(std::ceil(*quota));
  settings.threads_reason =
      message("its control group may use ", *quota, " of ", omp_get_max_threads(), " processors");
}

}  // namespace

const ThreadSettings& thread_settings() {
  static const ThreadSettings settings = [] {
    ThreadSettings s;
    choose_threads(s);
    choose_waiting(s);
    return s;
  }();
  return settings;
}

std::vector<cpu_set_t> bound_processors(std::int64_t threads) {
  if (omp_get_proc_bind() == omp_proc_bind_false) return {};
  std::vector<cpu_set_t> sets(static_cast<std::size_t>(threads));
#pragma omp parallel num_threads(static_cast <int>(threads))
  sched_getaffinity(0, sizeof(cpu_set_t), &sets[static_cast<std::size_t>(omp_get_thread_num())]);
  omp_pause_resource_all(omp_pause_soft);  // its threads are not needed any more
  return sets;
}

}  // namespace tarn::kernels::cpu
