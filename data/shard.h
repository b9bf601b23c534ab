// The parts that a batch is cut into. Each has a gradient of its own, and the sum of these is the
// batch's, whoever computes them.
#pragma once

#include <cstdint>

namespace tarn::data {

struct Shard {
  std::int64_t index = 0;
  std::int64_t count = 1;  // of all the parts
};

struct Range {
  std::int64_t first = 0;
  std::int64_t count = 0;
};

// What a shard has of so many rows, in their order. Shards differ by one row at most; of fewer rows
// than shards some have none.
constexpr Range range_of(const Shard& shard, std::int64_t rows) {
  const std::int64_t first = shard.index * rows / shard.count;
  return {first, (shard.index + 1) * rows / shard.count - first};
}

}  // namespace tarn::data
