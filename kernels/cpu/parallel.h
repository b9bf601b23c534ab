// The one way CPU kernels use threads. Work is cut into pieces by the shapes alone, never by the
// number of threads, and each piece writes its own outputs: so the bits are the same for any
// number. A caller waits only for pieces that other threads have begun, never for a thread to come:
// another program may be running on its processor.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>

#include "kernels/cpu/spin.h"
#include "kernels/cpu/team_pauses.h"
#include "kernels/cpu/thread_pool.h"

namespace tarn::kernels::cpu {

// Calls body(i) for i in [0, count) on the pool. The body must not throw.
template <class Body>
void parallel_for(std::int64_t count, const Body& body) {
  const std::int64_t members = std::min(count, pool_size());
  if (members <= 1) {
    for (std::int64_t i = 0; i < count; ++i) body(i);
    return;
  }
  alignas(64) std::atomic<std::int64_t> next = 0;
  const auto work = [&] {
    std::int64_t i = 0;
    while ((i = next.fetch_add(1, std::memory_order_relaxed)) < count) body(i);
  };
  using Work = decltype(work);
  run_on_pool(
      members,
      [](const void* context, std::int64_t) noexcept { (*static_cast<const Work*>(context))(); },
      &work);
}

// Calls body(first, last) for consecutive chunks that cover [0, count).
template <class Body>
void parallel_chunks(std::int64_t count, std::int64_t chunk, const Body& body) {
  parallel_for((count + chunk - 1) / chunk,
               [&](std::int64_t i) { body(i * chunk, std::min(count, (i + 1) * chunk)); });
}

// Keeps track of the phases of a team's work: which shares of the current phase have been taken,
// and whether all of them are done.
class Phases {
 public:
  static constexpr std::int64_t kMostMembers = 64;

  explicit Phases(std::int64_t members) : members_(members) {}
  std::int64_t members() const { return members_; }

  // Claims a share of the phase. True for one caller only, which then must do it. Phases are
  // numbered from 1.
  bool take(std::int64_t share, std::uint32_t phase) {
    std::uint32_t before = phase - 1;
    return shares_[static_cast<std::size_t>(share)].taken.compare_exchange_strong(before, phase);
  }

  // Reports that a share is done. A thread that sees the phase done also sees all that was written
  // in it.
  void finish(std::uint32_t phase) {
    if (finished_.fetch_add(1, std::memory_order_acq_rel) + 1 < members_) return;
    finished_.store(0, std::memory_order_relaxed);
    done_.store(phase);
    done_.notify_all();
  }

  // Polls for a while, as AdaptiveSpin does. Whether the phase is done.
  bool spin_until_done(std::uint32_t phase) const {
    thread_local AdaptiveSpin spin;
    return spin.until([&] { return done_.load(std::memory_order_acquire) >= phase; });
  }

  void sleep_until_done(std::uint32_t phase) {
    const auto start = std::chrono::steady_clock::now();
    done_.wait(phase - 1);
    slept_.fetch_add((std::chrono::steady_clock::now() - start).count(), std::memory_order_relaxed);
  }

  // How long the threads slept in all phases, added up.
  std::chrono::steady_clock::duration slept() const {
    return std::chrono::steady_clock::duration(slept_.load(std::memory_order_relaxed));
  }

 private:
  struct alignas(64) Share {
    std::atomic<std::uint32_t> taken = 0;  // the last phase in which the share was taken
  };

  const std::int64_t members_;
  alignas(64) std::atomic<std::int64_t> finished_ = 0;
  std::atomic<std::uint32_t> done_ = 0;  // the last phase that is done
  std::atomic<std::chrono::steady_clock::rep> slept_ = 0;
  std::array<Share, kMostMembers> shares_;
};

// One thread's part in work of several phases, where each phase reads what the one before it wrote.
class TeamMember {
 public:
  TeamMember(Phases& phases, std::int64_t index) : phases_(phases), index_(index) {}

  // Runs one phase. Calls body(i) for this member's share of [0, count), and for the shares of
  // members whose threads have not come; then waits until all shares are done.
  template <class Body>
  void share(std::int64_t count, const Body& body) {
    ++phase_;
    const auto take = [&](std::int64_t index) {
      if (!phases_.take(index, phase_)) return false;
      const std::int64_t members = phases_.members(), last = count * (index + 1) / members;
      for (std::int64_t i = count * index / members; i < last; ++i) body(i);
      phases_.finish(phase_);
      return true;
    };
    const auto take_from_others = [&] {
      bool any = false;
      for (std::int64_t i = 0; i < phases_.members(); ++i) any |= i != index_ && take(i);
      return any;
    };
    take(index_);
    if (others_away_) others_away_ = take_from_others();  // as in the phase before
    if (phases_.spin_until_done(phase_)) return;
    others_away_ = take_from_others();
    phases_.sleep_until_done(phase_);
  }

 private:
  Phases& phases_;
  const std::int64_t index_;
  std::uint32_t phase_ = 0;
  bool others_away_ = false;
};

// Calls body(member) on the threads of the pool, or on `most` of them, or, while another program
// disturbs such teams, on this thread alone: for many short phases, where a parallel_for each would
// cost more than the work. The bodies must go through the same phases.
template <class Body>
void parallel_team(std::int64_t most, const Body& body) {
  static TeamPauses pauses;
  const TeamPauses::Clock::time_point start = TeamPauses::Clock::now();
  const std::int64_t members =
      pauses.active(start)
          ? 1
          : std::clamp<std::int64_t>(std::min(most, pool_size()), 1, Phases::kMostMembers);
  Phases phases(members);
  const auto work = [&](std::int64_t index) {
    TeamMember member(phases, index);
    body(member);
  };
  using Work = decltype(work);
  run_on_pool(
      members,
      [](const void* context, std::int64_t index) noexcept {
        (*static_cast<const Work*>(context))(index);
      },
      &work);
  if (members == 1) return;
  const TeamPauses::Clock::time_point end = TeamPauses::Clock::now();
  pauses.report(end, end - start, phases.slept() / (members - 1));
}

}  // namespace tarn::kernels::cpu
