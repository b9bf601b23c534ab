#include "train/distributed/shard_sum.h"

#include <bit>

#include "kernels/copy.h"
#include "kernels/table.h"

namespace tarn::train {
namespace {

void add(const Tensor& to, const Tensor& from) {
  kernels::run(&kernels::Table::copy, to.device(), {.from = from, .to = to, .beta = 1});
}

// The node of `count` shards from `first` on.
ShardSum sum_of(std::int64_t first, std::int64_t count,
                const std::function<ShardSum(std::int64_t)>& shard) {
  if (count == 1) return shard(first);
  const auto left =
      static_cast<std::int64_t>(std::bit_floor(static_cast<std::uint64_t>(count - 1)));
  ShardSum sum = sum_of(first, left, shard);
  const ShardSum right = sum_of(first + left, count - left, shard);
  add(sum.gradient, right.gradient);
  add(sum.totals, right.totals);
  sum.tokens += right.tokens;
  return sum;
}

}  // namespace

ShardSum sum_over_shards(std::int64_t count, const std::function<ShardSum(std::int64_t)>& shard) {
  return sum_of(0, count, shard);
}

}  // namespace tarn::train
