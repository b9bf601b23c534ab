// Which sequences of an LSTM's batch step through time together.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>

#include "core/tensor.h"

namespace tarn::kernels::cpu {

// The recurrent weights are packed in panels of at most this many columns.
constexpr std::int64_t kWidestPanel = 32;
constexpr std::int64_t padded_to_panels(std::int64_t columns) {
  return (columns + kWidestPanel - 1) / kWidestPanel * kWidestPanel;
}

// How many sequences of one direction are one piece of work: enough that a weight is read once for
// several rows, but few enough that a batch of 16 or more keeps several cores busy.
constexpr std::int64_t group_size(std::int64_t batch) {
  return std::clamp<std::int64_t>((batch / 4 + 7) / 8 * 8, 8, 32);
}
constexpr std::int64_t group_count(std::int64_t batch) {
  return (batch + group_size(batch) - 1) / group_size(batch);
}

// The sequences of one piece of work, ordered from the longest to the shortest, so that at every
// frame those that have not ended are the first ones.
class LstmGroup {
 public:
  // Group `index` of a direction, of a batch ordered by length in `order` (room for the batch).
  LstmGroup(const Tensor& lengths, std::int64_t batch, std::int64_t frames, std::int64_t direction,
            std::int64_t index, std::int32_t* order)
      : direction_(direction),
        size_(std::min(group_size(batch), batch - index * group_size(batch))),
        frames_(frames),
        lengths_(lengths.defined() ? lengths.data<std::int32_t>() : nullptr),
        sequences_(order + index * group_size(batch)) {
    std::iota(order, order + batch, 0);
    if (lengths_ == nullptr) return;
    std::sort(order, order + batch, [this](std::int32_t a, std::int32_t b) {
      return lengths_[a] != lengths_[b] ? lengths_[a] > lengths_[b] : a < b;
    });
  }

  std::int64_t direction() const { return direction_; }
  std::int64_t size() const { return size_; }
  std::int64_t sequence(std::int64_t r) const { return sequences_[r]; }
  std::int64_t length(std::int64_t r) const {
    return lengths_ == nullptr ? frames_ : lengths_[sequences_[r]];
  }
  std::int64_t longest() const { return length(0); }
  // How many sequences have frame t.
  std::int64_t rows_at(std::int64_t t) const {
    std::int64_t rows = size_;
    while (rows > 0 && length(rows - 1) <= t) --rows;
    return rows;
  }

 private:
  std::int64_t direction_, size_, frames_;
  const std::int32_t* lengths_;
  const std::int32_t* sequences_;
};

}  // namespace tarn::kernels::cpu
