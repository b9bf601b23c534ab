// Sums over the shards of a batch, added along one binary tree whoever computes them.
#pragma once

#include <cstdint>
#include <functional>

#include "core/tensor.h"

namespace tarn::train {

// What a shard of an update's batches gives, and what several give together.
struct ShardSum {
  Tensor gradient;  // f32, contiguous
  Tensor totals;    // f64, contiguous
  std::int64_t tokens = 0;
};

// The sum over shards 0 .. count - 1. `shard` is called once for each, in their order; what it
// returns may be overwritten. A node of n shards adds the sum of the first m, the largest power of
// two below n, and that of the others, so that log2(count) + 1 of the sums are alive at once. Does
// not wait for the device.
ShardSum sum_over_shards(std::int64_t count, const std::function<ShardSum(std::int64_t)>& shard);

}  // namespace tarn::train
