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
#include "train/distributed/buckets.h"
#include "train/distributed/device_exchange.h"
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

// Adds up the sums of a tree by way of the hosts' memory, in buckets, from the end of the gradients
// to their beginning: each as soon as it is complete, in a thread of its own, while the last shard
// is still computed. A device's goes as a whole, when all is computed.
class HostExchange {
 public:
  explicit HostExchange(ShardTree& tree) : tree_(tree) {}

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
    const std::int64_t elements = gradient.elements();
    Buckets buckets =
        gradient.device() == Device::cpu() ? Buckets::of(elements) : Buckets::one(elements);
    for (; !buckets.done(); buckets.next()) {
      const std::int64_t first = buckets.first();
      {
        std::unique_lock lock(mutex_);
        const auto ready = [&] { return first > 0 ? complete_from_ <= first : all_; };
        if (!complete_.wait(lock, stop, ready)) return;  // the shard failed
      }
      const Clock::time_point start = Clock::now();
      tree_.add_up(first, buckets.count());
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

// Sums over the shards, and exchanges what is complete while the last one is computed, if somebody
// is to hear of it.
template <class Exchange>
BatchSum sum_with(Exchange& exchange, bool hears, const ShardTree& tree,
                  const ComputeShard& compute) {
  GradientProgress progress;
  if (hears) {
    progress = [&](const Tensor& gradient, std::int64_t first) {
      exchange.progress(gradient, first);
    };
  }
  const ExchangeTime time = exchange.finish(compute(tree.last_shard(), progress));
  return {tree.result(), time};
}

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
  if (ranks.connects_devices()) {
    DeviceExchange exchange(tree, ranks);
    return sum_with(exchange, true, tree, compute);
  }
  HostExchange exchange(tree);
  return sum_with(exchange, ranks.serves_any_thread(), tree, compute);
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
