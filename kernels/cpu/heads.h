// One head of one sequence, where it lies in a tensor [N, L, H, width] of any outer strides.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "core/tensor.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/rows.h"

namespace tarn::kernels::cpu {

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

// How many of the `length` positions of sequence n count: all where lengths (i32 [N]) is undefined.
inline std::int64_t valid_length(const Tensor& lengths, std::int64_t n, std::int64_t length) {
  if (!lengths.defined()) return length;
  return std::clamp<std::int64_t>(lengths.data<std::int32_t>()[n * lengths.strides()[0]], 0,
                                  length);
}

// Calls body(n, h) for each head of [N, L, H, width] on the pool.
template <class Body>
void for_each_head(const Tensor& tensor, const Body& body) {
  const std::int64_t heads = tensor.size(2);
  parallel_for(tensor.size(0) * heads, [&](std::int64_t i) { body(i / heads, i % heads); });
}

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

// A share of the columns of one head.
struct HeadPiece {
  std::int64_t n, h, piece, pieces;
};

// What one piece of work does: that share of so many heads of a sequence, from `first` on.
struct HeadJob {
  HeadPiece first;
  std::int64_t heads;
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

}  // namespace tarn::kernels::cpu
