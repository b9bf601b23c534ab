// The user's and the system's settings of threads, read once: how many there should be, how they
// wait, and where they may run.
#pragma once

#include <sched.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace tarn::kernels::cpu {

// The bounds on how long a thread polls before it sleeps; spin.h adapts the time between them.
struct SpinLimits {
  std::chrono::nanoseconds shortest, longest;
};

struct ThreadSettings {
  std::int64_t threads = 1;  // as OMP_NUM_THREADS says; else one a processor that we may use
  std::string threads_reason;
  SpinLimits spin;  // as GOMP_SPINCOUNT or OMP_WAIT_POLICY says; else short
  std::string waiting;
};
const ThreadSettings& thread_settings();

// For each of the threads, the processors that OMP_PROC_BIND or GOMP_CPU_AFFINITY binds it to, as
// OpenMP understands them; empty where neither is set.
std::vector<cpu_set_t> bound_processors(std::int64_t threads);

}  // namespace tarn::kernels::cpu
