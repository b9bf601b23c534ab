// Tensors [N, L, H, width] of any outer strides as a kernel's arguments, and the reading of rows of
// one head into shared memory.
#pragma once

#include <type_traits>

#include "kernels/cuda/gpu.h"

namespace tarn::kernels::cuda {

// Neighbours that one instruction moves, where they have no more than 16 bytes.
template <class T, int kCount>
struct alignas(kCount * sizeof(T) < 16 ? kCount * sizeof(T) : 16) Pack {
  T at[kCount];
};
template <class T>
using Quad = Pack<T, 4>;

template <int kCount, class T>
__device__ inline Pack<T, kCount> load_pack(const T* from) {
  return *reinterpret_cast<const Pack<T, kCount>*>(from);
}
template <class T>
__device__ inline Quad<T> load_quad(const T* from) {
  return load_pack<4>(from);
}

// Whether an address is one that a Quad may have.
inline bool is_aligned(const void* data) {
  return reinterpret_cast<std::uintptr_t>(data) % alignof(Quad<float>) == 0;
}

// Some rows that lie apart; null where there is no row.
template <class T>
struct TileRows {
  const T* first;
  std::int64_t stride, count;

  __device__ const T* operator()(int i) const { return i < count ? first + i * stride : nullptr; }
};

// The heads of a tensor.
template <class T>
struct Heads {
  T* data = nullptr;
  std::int64_t sequence = 0, position = 0, head = 0;  // strides in elements
  std::int64_t width = 0;
  bool quads = false;  // whether each four elements of a row can be moved as a Quad

  Heads() = default;
  explicit Heads(const Tensor& t)
      : data(t.mutable_data<std::remove_const_t<T>>()),
        sequence(t.strides()[0]),
        position(t.strides()[1]),
        head(t.strides()[2]),
        width(t.size(3)),
        quads(is_aligned(data) && sequence % 4 == 0 && position % 4 == 0 && head % 4 == 0 &&
              width % 4 == 0) {}

  // Position l of head h of sequence n.
  __device__ T* row(std::int64_t n, std::int64_t h, std::int64_t l) const {
    return data + n * sequence + h * head + l * position;
  }
  // Positions [first, end) of a head.
  __device__ TileRows<std::remove_const_t<T>> rows(std::int64_t n, std::int64_t h,
                                                   std::int64_t first, std::int64_t end) const {
    return {row(n, h, first), position, end - first};
  }
};

// The rows of one head.
template <class T>
struct Rows {
  T* data;
  std::int64_t stride, width;
  bool quads;

  __device__ Rows(const Heads<T>& heads, std::int64_t n, std::int64_t h)
      : data(heads.data + n * heads.sequence + h * heads.head),
        stride(heads.position),
        width(heads.width),
        quads(heads.quads) {}
};

// Columns [column, column + 4) of a row; zeros for those that it does not have.
template <class T>
__device__ Quad<std::remove_const_t<T>> load_columns(const Rows<T>& rows, std::int64_t row,
                                                     std::int64_t column) {
  const T* from = rows.data + row * rows.stride + column;
  const std::int64_t count = rows.width - column;
  if (rows.quads && count >= 4) return load_quad<std::remove_const_t<T>>(from);
  Quad<std::remove_const_t<T>> to = {};
  for (int i = 0; i < 4; ++i) {
    if (i < count) to.at[i] = from[i];
  }
  return to;
}

// Columns [column, column + 4) of a row become beta * old + values; those that it does not have are
// left out.
template <class T>
__device__ void store_columns(const Rows<T>& rows, std::int64_t row, std::int64_t column, T beta,
                              Quad<T> values) {
  T* to = rows.data + row * rows.stride + column;
  if (beta != T(0)) {
    const Quad<T> old = load_columns(rows, row, column);
    for (int i = 0; i < 4; ++i) values.at[i] += beta * old.at[i];
  }
  const std::int64_t count = rows.width - column;
  if (rows.quads && count >= 4) {
    *reinterpret_cast<Quad<T>*>(to) = values;
    return;
  }
  for (int i = 0; i < 4; ++i) {
    if (i < count) to[i] = values.at[i];
  }
}

// x cut to [0, most]. Not std::clamp, whose references would put numbers into memory.
__device__ inline std::int64_t clamped(std::int64_t x, std::int64_t most) {
  return x < 0 ? 0 : x < most ? x : most;
}

// How many of the `length` positions of sequence n are valid: all of them without lengths.
struct Lengths {
  const std::int32_t* data = nullptr;
  std::int64_t stride = 0;

  Lengths() = default;
  explicit Lengths(const Tensor& lengths) {
    if (!lengths.defined()) return;
    data = lengths.data<std::int32_t>();
    stride = lengths.strides()[0];
  }
  __device__ std::int64_t valid(std::int64_t n, std::int64_t length) const {
    return data == nullptr ? length : clamped(data[n * stride], length);
  }
};

}  // namespace tarn::kernels::cuda
