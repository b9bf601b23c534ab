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
  Tensor gradient;  // f32, contiguous
  Tensor totals;    // f64, contiguous
  std::int64_t tokens = 0;
  std::int64_t stops = 0;  // how many were computed by a process that a signal asked to end
};

// The sum over shards 0 .. count - 1, in every process. `shard` is called once for each that this
// process has, in their order; what it returns may be overwritten. A node of n shards adds the sum
// of the first m, the largest power of two below n, and that of the others, so that log2(count) + 1
// of the sums are alive at once. A process alone does not wait for the device.
ShardSum sum_over_shards(std::int64_t count, Communicator& ranks,
                         const std::function<ShardSum(std::int64_t)>& shard);

// ConfigError where some of the processes would have no shard.
void check_shards(std::int64_t count, const Communicator& ranks);

}  // namespace tarn::train
