#include "kernels/cpu/thread_pool.h"

#include <atomic>
#include <memory>
#include <optional>
#include <system_error>
#include <thread>
#include <vector>

#include "core/check.h"
#include "kernels/backend.h"
#include "kernels/cpu/spin.h"

namespace tarn::kernels::cpu {
namespace {

// One thread of the pool: what the thread itself does (run), and what a caller does with it (call
// and dismiss).
class alignas(64) Worker {
 public:
  explicit Worker(std::int64_t member) : member_(member) {}

  // Never returns.
  [[noreturn]] void run() {
    for (;;) {
      if (!idle_spin_.until(
              [&] { return state_.load(std::memory_order_acquire) != State::idle; })) {
        State was = State::idle;
        if (state_.compare_exchange_strong(was, State::asleep)) state_.wait(State::asleep);
      }
      State was = State::called;
      if (!state_.compare_exchange_strong(was, State::working)) continue;  // no longer needed
      function_(context_, member_);
      if (state_.exchange(State::idle) == State::awaited) state_.notify_one();
    }
  }

  void call(MemberFunction function, const void* context) {
    function_ = function;
    context_ = context;
    if (state_.exchange(State::called) == State::asleep) state_.notify_one();
  }

  // Withdraws the call if the thread has not answered it yet; else waits until the thread is done.
  void dismiss() {
    State was = State::called;
    if (state_.compare_exchange_strong(was, State::idle)) return;
    const auto through = [&] {  // done, and perhaps asleep already
      const State now = state_.load(std::memory_order_acquire);
      return now == State::idle || now == State::asleep;
    };
    while (!leave_spin_.until(through)) {
      was = State::working;
      if (state_.compare_exchange_strong(was, State::awaited)) state_.wait(State::awaited);
    }
  }

 private:
  // The thread goes from idle to asleep, from called to working, and from working or awaited to
  // idle. The caller makes idle or asleep called, called idle, and working awaited. In the states
  // idle, asleep and called only the caller may write function_ and context_; in the others the
  // thread reads them.
  enum class State : std::int32_t { idle, asleep, called, working, awaited };

  std::atomic<State> state_ = State::idle;
  MemberFunction function_ = nullptr;
  const void* context_ = nullptr;
  const std::int64_t member_;
  AdaptiveSpin idle_spin_;               // the thread's
  alignas(64) AdaptiveSpin leave_spin_;  // the caller's
};

// A thread starts on the processor of the thread that made it, which goes on working there, and the
// kernel may take 50 ms to move either of them. So a new thread moves away by itself: for a moment
// it forbids itself that processor.
void leave_processor(int processor) {
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  cpu_set_t others = allowed;
  CPU_CLR(processor, &others);
  if (sched_setaffinity(0, sizeof others, &others) != 0) return;  // there is no other
  sched_setaffinity(0, sizeof allowed, &allowed);
}

// The pool is never destroyed: its threads end with the process. A process made by fork() has none
// of them, which does no harm: a call that no thread answers leaves all the work to the caller.
class Pool {
 public:
  // False if another caller is using the pool.
  bool enter() { return !entered_.exchange(true, std::memory_order_acquire); }
  void leave() { entered_.store(false, std::memory_order_release); }

  void run(std::size_t workers, MemberFunction function, const void* context) {
    if (workers_.size() < workers) grow(workers);
    for (std::size_t i = 0; i < workers; ++i) workers_[i]->call(function, context);
    function(context, 0);
    for (std::size_t i = 0; i < workers; ++i) workers_[i]->dismiss();
  }

 private:
  void grow(std::size_t count) {
    const std::vector<cpu_set_t> bound = bound_processors(static_cast<std::int64_t>(count) + 1);
    while (workers_.size() < count) {
      const std::size_t member = workers_.size() + 1;
      auto worker = std::make_unique<Worker>(static_cast<std::int64_t>(member));
      try {
        const auto processors = bound.empty() ? std::nullopt : std::optional(bound[member]);
        std::thread([worker = worker.get(), processors, here = sched_getcpu()] {
          if (processors) {
            sched_setaffinity(0, sizeof(cpu_set_t), &*processors);
          } else {
            leave_processor(here);
          }
          worker->run();
        }).detach();
      } catch (const std::system_error& error) {
        fail<Error>("cannot start thread ", member + 1, " of ", count + 1, ": ", error.what(),
                    "; ask for fewer, by run.threads or OMP_NUM_THREADS");
      }
      workers_.push_back(std::move(worker));
    }
  }

  std::atomic<bool> entered_ = false;
  std::vector<std::unique_ptr<Worker>> workers_;
};

Pool& the_pool() {
  static Pool& pool = *new Pool;
  return pool;
}

std::atomic<std::int64_t> chosen_threads = 0;  // 0: nothing chosen
thread_local bool works_alone = false;

}  // namespace

std::int64_t pool_size() {
  const std::int64_t chosen = chosen_threads.load(std::memory_order_relaxed);
  return chosen > 0 ? chosen : thread_settings().threads;
}

void run_on_pool(std::int64_t members, MemberFunction function, const void* context) {
  Pool& pool = the_pool();
  if (members <= 1 || works_alone || !pool.enter()) return function(context, 0);
  struct Leave {
    Pool& pool;
    ~Leave() { pool.leave(); }
  } const leave{pool};
  pool.run(static_cast<std::size_t>(members - 1), function, context);
}

}  // namespace tarn::kernels::cpu

void tarn::kernels::set_cpu_threads(std::int64_t threads) {
  if (threads > 0) cpu::chosen_threads = threads;
}

void tarn::kernels::use_no_other_cpu_threads() { cpu::works_alone = true; }
