// The rows of a tensor: its last dimension, which must be contiguous, for each index of the others.
#pragma once

#include <cstdint>

#include "core/tensor.h"

namespace tarn::kernels::cpu {

class Rows {
 public:
  explicit Rows(const Tensor& tensor)
      : shape_(tensor.shape()), strides_(tensor.strides()), flat_(tensor.is_contiguous()) {}

  std::int64_t width() const { return shape_.rank() == 0 ? 1 : shape_.back(); }
  std::int64_t count() const { return width() == 0 ? 0 : shape_.elements() / width(); }

  // Elements from the tensor's first to the first of a row.
  std::int64_t offset(std::int64_t row) const {
    if (flat_) return row * width();
    std::int64_t offset = 0;
    for (int d = shape_.rank() - 2; d >= 0; --d) {
      offset += row % shape_[d] * strides_[d];
      row /= shape_[d];
    }
    return offset;
  }

 private:
  Shape shape_, strides_;
  bool flat_;
};

// A chunk of rows of about this many elements is one piece of parallel work.
constexpr std::int64_t kChunkElements = 32768;
constexpr std::int64_t rows_per_chunk(std::int64_t width) {
  return width >= kChunkElements ? 1 : kChunkElements / (width > 0 ? width : 1);
}

// A sum over rows is made of f64 partial sums, one for each chunk of rows. How many rows are a
// chunk:
constexpr std::int64_t rows_per_sum(std::int64_t rows) { return rows < 4096 ? 64 : rows / 64; }
constexpr std::int64_t partial_sums(std::int64_t rows) {
  return (rows + rows_per_sum(rows) - 1) / rows_per_sum(rows);
}

}  // namespace tarn::kernels::cpu
