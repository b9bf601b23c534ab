#include "data/shuffle.h"

#include <algorithm>

#include "core/check.h"

namespace tarn::data {
namespace {

// The smallest number whose square is the count or more.
std::int64_t side_of(std::int64_t count) {
  std::int64_t low = 1, high = 46341;  // 46341 squared is above 2^31
  while (low < high) {
    const std::int64_t middle = (low + high) / 2;
    (middle * middle < count ? low : high) = middle * middle < count ? middle + 1 : middle;
  }
  return low;
}

}  // namespace

// A Feistel network over pairs (column, row) with column < columns and row < rows: each half-round
// moves one of them by a random amount that only the other decides, which can be undone, so that
// the whole is a permutation. A few pairs are beyond the last element; where the network leads
// to one of them, it is applied again.
std::int64_t shuffled(std::int64_t index, std::int64_t count, const RngAddress& at) {
  constexpr int kRounds = 6;
  TARN_CHECK(0 <= index && index < count && count < std::int64_t{1} << 31, "shuffled: element ",
             index, " of ", count);
  const std::int64_t columns = side_of(count), rows = (count + columns - 1) / columns;
  const auto moved = [&](std::int64_t value, std::int64_t size, int half_round,
                         std::int64_t other) {
    const auto element = static_cast<std::uint64_t>(half_round * columns + other);
    return (value + random_below(at, element, static_cast<std::uint32_t>(size))) % size;
  };
  std::int64_t element = index;
  do {
    std::int64_t column = element % columns, row = element / columns;
    for (int round = 0; round < kRounds; ++round) {
      column = moved(column, columns, 2 * round, row);
      row = moved(row, rows, 2 * round + 1, column);
    }
    element = row * columns + column;
  } while (element >= count);
  return element;
}

}  // namespace tarn::data
