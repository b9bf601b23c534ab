// How a thread waits: it polls for a little while, and then sleeps until it is woken. Polling is
// quicker by the cost of going to sleep and waking up, but it takes a processor from other
// programs, and perhaps from the very thread that is waited for.
#pragma once

#include <algorithm>
#include <chrono>
#include <thread>

#include "kernels/cpu/thread_settings.h"

namespace tarn::kernels::cpu {

// Tells the processor that this is a loop of polling.
inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Polls for as long as polling has succeeded lately. Made for one place in the code where one
// thread waits again and again. Each time that the condition does not come true in time halves the
// limit, down to the shortest; one success restores it to the longest.
class AdaptiveSpin {
 public:
  // Whether `condition` came true. After false, the caller should sleep.
  template <class Condition>
  bool until(const Condition& condition) {
    using Clock = std::chrono::steady_clock;
    if (condition()) return true;
    const SpinLimits& limits = thread_settings().spin;
    if (limits.longest.count() == 0) return false;
    limit_ = std::clamp(limit_, limits.shortest, limits.longest);
    const Clock::time_point start = Clock::now();
    do {
      for (int i = 0; i < 16; ++i) {  // reading the clock takes as long as one pause
        pause();
        if (!condition()) continue;
        limit_ = limits.longest;
        return true;
      }
    } while (Clock::now() - start < limit_);
    limit_ /= 2;
    return false;
  }

 private:
  std::chrono::nanoseconds limit_ = std::chrono::nanoseconds::max();
};

}  // namespace tarn::kernels::cpu
