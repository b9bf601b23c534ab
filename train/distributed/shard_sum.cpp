#include "train/distributed/shard_sum.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "core/transfer.h"
#include "kernels/backend.h"
#include "train/distributed/shard_tree.h"

namespace tarn::train {
namespace {

using Clock = std::chrono::steady_clock;

// When a bucket was exchanged.
struct Spell {
  Clock::time_point start, end;
};

double seconds_between(Clock::time_point start, Clock::time_point end) {
  return std::max(0.0, std::chrono::duration<double>(end - start).count());
}

// How many elements of a gradient are exchanged at a time: few enough that most of a small one is
// on its way early too, and enough that a message takes longer than its start. A device's goes as a
// whole, since nothing is computed meanwhile.
std::int64_t bucket_of(const Tensor& gradient) {
  constexpr std::int64_t kBuckets = 8, kMost = 1 << 18, kAlign = 64;
  const std::int64_t elements = gradient.elements();
  if (gradient.device() != Device::cpu()) return elements;
  const std::int64_t share = (elements + kBuckets - 1) / kBuckets;
  return std::min(kMost, (share + kAlign - 1) / kAlign * kAlign);
}

// Adds up the sums of a tree in buckets, from the end of the gradients to their beginning: each as
// soon as it is complete, in a thread of its own, while the last shard is still computed.
class Exchange {
 public:
  explicit Exchange(ShardTree& tree) : tree_(tree) {}

  // All of the last shard's gradient from this element on is complete. Nothing is said of one on
  // another device than the CPU, which has only been asked to compute it.
  void progress(const Tensor& gradient, std::int64_t first) {
    if (gradient.device() != Device::cpu()) return;
    {
      const std::lock_guard lock(mutex_);
      complete_from_ = first;
    }
    complete_.notify_one();
    if (thread_.joinable()) return;
    tree_.keep_last(gradient);
    thread_ = std::jthread([this, gradient](const std::stop_token& stop) {
      kernels::use_no_other_cpu_threads();
      try {
        add_buckets(gradient, stop);
      } catch (...) {
        error_ = std::current_exception();
      }
    });
  }

  // The last shard is computed. Returns when all is added up; throws what the exchange threw.
  ExchangeTime finish(const ShardSum& last) {
    wait_for(last.gradient.device());  // what it still computes is no exchange
    const Clock::time_point computed = Clock::now();
    if (!thread_.joinable()) tree_.keep_last(last.gradient);
    {
      const std::lock_guard lock(mutex_);
      tree_.keep_rest_of_last(last);
      complete_from_ = 0;
      all_ = true;
    }
    complete_.notify_one();
    if (thread_.joinable()) {
      thread_.join();
    } else {
      add_buckets(last.gradient, {});
    }
    if (error_) std::rethrow_exception(error_);
    ExchangeTime time;
    for (const Spell& spell : spells_) {
      time.seconds += seconds_between(spell.start, spell.end);
      time.hidden += seconds_between(spell.start, std::min(spell.end, computed));
    }
    return time;
  }

 private:
  void add_buckets(const Tensor& gradient, const std::stop_token& stop) {
    const std::int64_t bucket = bucket_of(gradient);
    for (std::int64_t end = gradient.elements(); end > 0; end -= std::min(end, bucket)) {
      const std::int64_t first = std::max<std::int64_t>(0, end - bucket);
      {
        std::unique_lock lock(mutex_);
        const auto ready = [&] { return first > 0 ? complete_from_ <= first : all_; };
        if (!complete_.wait(lock, stop, ready)) return;  // the shard failed
      }
      const Clock::time_point start = Clock::now();
      tree_.add_up(first, end - first);
      spells_.push_back({start, Clock::now()});
    }
  }

  ShardTree& tree_;
  std::mutex mutex_;
  std::condition_variable_any complete_;
  std::int64_t complete_from_ = 0;  // an element of the last shard's gradient
  bool all_ = false;                // so is what is not gradient
  std::vector<Spell> spells_;
  std::exception_ptr error_;
  std::jthread thread_;  // the last member: it ends before the others
};

}  // namespace

BatchSum sum_over_shards(std::int64_t count, Communicator& ranks, const ComputeShard& compute) {
  ShardTree tree(count, ranks);
  tree.compute_before_last([&](std::int64_t shard) { return compute(shard, {}); });
  if (ranks.alone()) {
    const ShardSum last = compute(tree.last_shard(), {});
    tree.keep_last(last.gradient);
    tree.keep_rest_of_last(last);
    tree.add_up(0, last.gradient.elements());
    return {tree.result(), {}};
  }
  Exchange exchange(tree);
  GradientProgress progress;
  if (ranks.serves_any_thread()) {
    progress = [&](const Tensor& gradient, std::int64_t first) {
      exchange.progress(gradient, first);
    };
  }
  const ExchangeTime time = exchange.finish(compute(tree.last_shard(), progress));
  return {tree.result(), time};
}

void check_shards(std::int64_t count, const Communicator& ranks) {
  TARN_CHECK_AS(ConfigError, ranks.size() <= count, "train.shards is ", count, ", and there are ",
                ranks.size(),
                " processes; each takes one part of a batch at least: set "
                "train.shards to ",
                ranks.size(),
                " or more, and leave it so: it decides the bits of "
                "a run, and the number of processes does not");
}

}  // namespace tarn::train
