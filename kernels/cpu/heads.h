// One head of one sequence, where it lies in a tensor [N, L, H, width] of any outer strides.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "core/tensor.h"
#include "kernels/cpu/rows.h"

namespace tarn::kernels {

template <class T>
struct Head {
  Head(const Tensor& tensor, std::int64_t n, std::int64_t h)
      : data(tensor.mutable_data<std::remove_const_t<T>>() +
             // A tensor without elements is at no address, from which nothing may be counted.
             (tensor.elements() > 0 ? n * tensor.strides()[0] + h * tensor.strides()[2] : 0)),
        // Of a single row the tensor's stride may be anything, and BLAS wants one of a row at
        // least.
        stride(tensor.size(1) > 1 ? tensor.strides()[1] : tensor.size(3)),
        width(tensor.size(3)) {}
  T* row(std::int64_t l) const { return data + l * stride; }

  T* data;
  std::int64_t stride, width;
};

struct Columns {
  std::int64_t first, count;
};

// Those columns of a head, as far as it has them.
template <class T>
Head<T> columns_of(Head<T> head, const Columns& columns) {
  head.width = std::clamp<std::int64_t>(head.width - columns.first, 0, columns.count);
  head.data += columns.first;
  return head;
}

// What one piece of work does: a share of the columns of one head.
struct HeadPiece {
  std::int64_t n, h, piece, pieces;
};

// The part of a tensor [N, H, ...] that belongs to a head.
template <class T>
T* of_head(const Tensor& tensor, std::int64_t n, std::int64_t h) {
  return tensor.mutable_data<T>() + n * tensor.strides()[0] + h * tensor.strides()[1];
}

// The tensor, or a copy if its rows overlap (an expanded one): BLAS takes no such strides.
inline Tensor with_rows_apart(const Tensor& tensor) {
  if (tensor.size(1) <= 1 || tensor.strides()[1] >= tensor.size(3)) return tensor;
  Tensor copy = Tensor::empty_like(tensor);
  const Rows rows(tensor);
  const std::int64_t size = size_of(tensor.dtype());
  for (std::int64_t r = 0; r < rows.count(); ++r) {
    const std::byte* row = tensor.raw() + rows.offset(r) * size;
    std::copy(row, row + rows.width() * size, copy.raw() + r * rows.width() * size);
  }
  return copy;
}

}  // namespace tarn::kernels
