// The one way CPU kernels use threads. Work is cut into pieces by the shapes alone, never by the
// number of threads, and each piece writes its own outputs: so the bits are the same for any
// number.
#pragma once

#include <omp.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <thread>

namespace tarn::kernels {

// The threads of the pool: for cuts that change no bit, and for nothing else.
inline std::int64_t pool_size() { return omp_get_max_threads(); }

// Calls body(i) for i in [0, count) on the pool. The body must not throw.
template <class Body>
void parallel_for(std::int64_t count, const Body& body) {
  if (count == 1) return body(std::int64_t{0});
#pragma omp parallel for schedule(dynamic, 1)
  for (std::int64_t i = 0; i < count; ++i) body(i);
}

// Calls body(first, last) for consecutive chunks that cover [0, count).
template <class Body>
void parallel_chunks(std::int64_t count, std::int64_t chunk, const Body& body) {
  parallel_for((count + chunk - 1) / chunk,
               [&](std::int64_t i) { body(i * chunk, std::min(count, (i + 1) * chunk)); });
}

// Where the members of a team wait for each other. They spin, since a phase lasts microseconds;
// one that waits long lets another program have its core.
class PhaseBarrier {
 public:
  void wait(std::int64_t members) {
    const std::uint32_t phase = phase_.load(std::memory_order_relaxed);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == members) {
      arrived_.store(0, std::memory_order_relaxed);
      phase_.store(phase + 1, std::memory_order_release);
      return;
    }
    for (int spins = 0; phase_.load(std::memory_order_acquire) == phase; ++spins) {
      if (spins >= kSpins) std::this_thread::yield();
    }
  }

 private:
  static constexpr int kSpins = 20000;
  std::atomic<std::int64_t> arrived_ = 0;
  std::atomic<std::uint32_t> phase_ = 0;
};

// One thread's part in work of several phases, each of which reads what the one before wrote.
class TeamMember {
 public:
  TeamMember(PhaseBarrier& barrier, std::int64_t index, std::int64_t members)
      : barrier_(barrier), index_(index), members_(members) {}

  // One phase: calls body(i) for this member's share of [0, count), then waits for the others.
  template <class Body>
  void share(std::int64_t count, const Body& body) const {
    const std::int64_t last = count * (index_ + 1) / members_;
    for (std::int64_t i = count * index_ / members_; i < last; ++i) body(i);
    if (members_ > 1) barrier_.wait(members_);
  }

 private:
  PhaseBarrier& barrier_;
  std::int64_t index_, members_;
};

// Calls body(member) on each thread of the pool, or on `most` of them: for many short phases, where
// a parallel_for each would cost more than the work. The bodies must go through the same phases.
template <class Body>
void parallel_team(std::int64_t most, const Body& body) {
  PhaseBarrier barrier;
  if (most <= 1) return body(TeamMember(barrier, 0, 1));
  const int threads = static_cast<int>(std::min<std::int64_t>(most, omp_get_max_threads()));
#pragma omp parallel num_threads(threads)
  body(TeamMember(barrier, omp_get_thread_num(), omp_get_num_threads()));
}

}  // namespace tarn::kernels
