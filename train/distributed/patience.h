// How a process waits for others that it has to ask again and again. It needs nothing of tarn, for
// the modules that carry messages.
#pragma once

#include <sched.h>

#include <chrono>
#include <string>
#include <thread>

namespace tarn::train {

// Waits as one that is answered within microseconds, and later as one that others wait for: ranks
// may share a processor.
class Patience {
 public:
  void wait() {
    ++waits_;
    if (waits_ < kPolls) return;
    if (waits_ < kYields) {
      sched_yield();
      return;
    }
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  }

 private:
  static constexpr int kPolls = 100, kYields = 2000;
  int waits_ = 0;
};

// Whether so many seconds have passed (0: no limit).
class Deadline {
 public:
  explicit Deadline(double seconds) : limit_(seconds), end_(Clock::now() + limit_) {}
  bool passed() const { return limit_.count() > 0 && Clock::now() > end_; }

 private:
  using Clock = std::chrono::steady_clock;
  std::chrono::duration<double> limit_;
  std::chrono::time_point<Clock, std::chrono::duration<double>> end_;
};

// What a process that was waited for in vain did, for a reader.
inline std::string no_answer(double seconds) {
  return "did not answer for " + std::to_string(static_cast<int>(seconds)) + " s";
}

}  // namespace tarn::train
