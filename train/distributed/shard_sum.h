// Sums over the shards of a batch, added along one binary tree whoever computes them: the number of
// processes changes no bit. docs/many_machines.md says why.
#pragma once

#include <cstdint>
#include <functional>

#include "core/tensor.h"
#include "train/distributed/communicator.h"

namespace tarn::train {

// What a shard of an update's batches gives, and what several give together.
struct ShardSum {
  Tensor gradient;  // f32 [n], contiguous
  Tensor totals;    // f64, contiguous
  std::int64_t tokens = 0;
  std::int64_t stops = 0;  // how many were computed by a process that a signal asked to end
};

// How long this process exchanged sums with others, what it waited for them included.
struct ExchangeTime {
  double seconds = 0;
  double hidden = 0;  // of these, while it computed; the rest is what the update took longer
};

struct BatchSum {
  ShardSum sum;
  ExchangeTime exchange;
};

// Says of the gradient that a shard is going to give that all from element `first` on is complete:
// the shard neither reads nor writes it any more, nor will it ask a device to.
using GradientProgress = std::function<void(const Tensor& gradient, std::int64_t first)>;

// Computes a shard. The progress of its gradient may be said, if there is somebody to hear it.
using ComputeShard = std::function<ShardSum(std::int64_t shard, const GradientProgress& progress)>;

// The sum over shards 0 .. count - 1, in every process. `compute` is called once for each that this
// process has, in their order; what it returns may be overwritten. A node of n shards adds the sum
// of the first m, the largest power of two below n, and that of the others. What is complete of the
// gradient of a process's last shard is exchanged with other processes while the rest is computed,
// but for that of a device that is not connected with theirs. Between the shards a process holds
// the sums that wait for another: a process alone, log2(count) of them at most, and it does not
// wait for the device.
BatchSum sum_over_shards(std::int64_t count, Communicator& ranks, const ComputeShard& compute);

// ConfigError where some of the processes would have no shard.
void check_shards(std::int64_t count, const Communicator& ranks);

}  // namespace tarn::train
