// When a team of threads pays. A thread that has begun its share can lose its processor to another
// program for some milliseconds, and the others must wait for it, though the whole of a step of
// generation takes less. Where that happens, one thread by itself is quicker for as long as the
// other program runs.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>

namespace tarn::kernels::cpu {

// Decides from the waiting in past calls whether the next call should be left to one thread. May be
// used by several threads at once: a lost update costs time and changes no result.
class TeamPauses {
 public:
  using Clock = std::chrono::steady_clock;

  // Whether the work that starts at this time is for one thread alone.
  bool active(Clock::time_point now) const {
    return now.time_since_epoch().count() < end_.load(std::memory_order_relaxed);
  }

  // Reports a call of a team that ended at `now` and took `total`, of which its threads on
  // the average slept `slept`, because one had not finished its share.
  void report(Clock::time_point now, Clock::duration total, Clock::duration slept) {
    const bool disturbed = slept > kShortestLoss && 3 * slept > total;
    const Clock::rep before = length_.load(std::memory_order_relaxed);
    if (!disturbed) {
      if (before != 0) length_.store(before - (before + 15) / 16, std::memory_order_relaxed);
      return;
    }
    const Clock::rep length = std::clamp(2 * before, kShortest.count(), kLongest.count());
    length_.store(length, std::memory_order_relaxed);
    end_.store(now.time_since_epoch().count() + length, std::memory_order_relaxed);
  }

 private:
  // To be woken takes a tenth of this, to get a processor back ten times as long.
  static constexpr Clock::duration kShortestLoss = std::chrono::microseconds(500);
  // A pause is twice as long as the one before, and shrinks with each undisturbed call.
  static constexpr Clock::duration kShortest = std::chrono::milliseconds(10);
  static constexpr Clock::duration kLongest = std::chrono::milliseconds(160);

  std::atomic<Clock::rep> end_ = 0, length_ = 0;
};

}  // namespace tarn::kernels::cpu
