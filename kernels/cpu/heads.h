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
             // A tensor without elements has a null address, to which no offset may be added.
             (tensor.elements() > 0 ? n * tensor.strides()[0] + h * tensor.strides()[2] : 0)),
        // A tensor of a single row may have any stride there, but BLAS requires one that is at
        // least the width.
        stride(tensor.size(1) > 1 ? tensor.strides()[1] : tensor.size(3)),
        width(tensor.size(3)) {}
  T* row(std::int64_t l) const { return data + l * stride; }

  T* data;
  std::int64_t stride, width;
};

// How many of the `length` positions of sequence n are valid: all of them if lengths (i32 [N]) is
// undefined.
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

// The given columns of a head, or as many of them as it has.
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

// One piece of work: the same share of each of `heads` successive heads of a sequence.
struct HeadJob {
  HeadPiece first;
  std::int64_t heads;
};

// The part of a tensor [N, H, ...] that belongs to a head.
template <class T>
T* of_head(const Tensor& tensor, std::int64_t n, std::int64_t h) {
  return tensor.mutable_data<T>() + n * tensor.strides()[0] + h * tensor.strides()[1];
}

// The tensor itself, or a copy if its rows overlap, as an expanded tensor's do: BLAS does not
// accept such strides.
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
