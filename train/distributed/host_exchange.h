// Gradients by way of the hosts' memory, while the CPU computes.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "train/distributed/shard_tree.h"

namespace tarn::train {

// Adds up the sums of a tree in buckets, from the end of the gradients to their beginning: each as
// soon as it is complete, in a thread of its own, while the last shard is still computed. A
// device's goes as a whole, when all is computed.
class HostExchange {
 public:
  explicit HostExchange(ShardTree& tree) : tree_(tree) {}

  // All of the last shard's gradient from this element on is complete. Nothing is said of one on
  // another device than the CPU, which has only been asked to compute it.
  void progress(const Tensor& gradient, std::int64_t first);
  // The last shard is computed. Returns when all is added up; throws what the exchange threw.
  ExchangeTime finish(const ShardSum& last);

 private:
  using Clock = std::chrono::steady_clock;
  struct Spell {
    Clock::time_point start, end;
  };

  void add_buckets(const Tensor& gradient, const std::stop_token& stop);

  ShardTree& tree_;
  std::mutex mutex_;
  std::condition_variable_any complete_;
  std::int64_t complete_from_ = 0;  // an element of the last shard's gradient
  bool all_ = false;                // so is what is not gradient
  std::vector<Spell> spells_;       // of the buckets
  std::exception_ptr error_;
  std::jthread thread_;  // the last member: it ends before the others
};

}  // namespace tarn::train
