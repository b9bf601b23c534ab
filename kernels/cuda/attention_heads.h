// What kernels of attention are told of their problem: heads where they lie, lengths, dropout, and
// which part of it a block works on.
#pragma once

#include <array>
#include <cstdint>
#include <type_traits>

#include "core/rng.h"
#include "kernels/cuda/gpu.h"

namespace tarn::kernels::cuda {

// Some rows that lie apart; null where there is no row.
template <class T>
struct TileRows {
  const T* first;
  std::int64_t stride, count;

  __device__ const T* operator()(int i) const { return i < count ? first + i * stride : nullptr; }
};

// A tensor [N, L, H, width] with the last dimension contiguous.
template <class T>
struct AttentionHeads {
  T* data;
  std::int64_t n_stride, l_stride, h_stride;

  explicit AttentionHeads(const Tensor& x)
      : data(x.mutable_data<std::remove_const_t<T>>()),
        n_stride(x.strides()[0]),
        l_stride(x.strides()[1]),
        h_stride(x.strides()[2]) {}
  __device__ T* row(std::int64_t n, std::int64_t h, std::int64_t l) const {
    return data + n * n_stride + h * h_stride + l * l_stride;
  }
  // Rows [first, end) of a head.
  __device__ TileRows<std::remove_const_t<T>> rows(std::int64_t n, std::int64_t h,
                                                   std::int64_t first, std::int64_t end) const {
    return {row(n, h, first), l_stride, end - first};
  }
};

// Not std::clamp, whose references would put numbers into memory.
__device__ inline std::int64_t clamped(std::int64_t x, std::int64_t most) {
  return x < 0 ? 0 : x < most ? x : most;
}

// The number of valid positions of each sequence: all of them where lengths are undefined.
struct SequenceLengths {
  const std::int32_t* data = nullptr;
  std::int64_t stride = 0, all;

  SequenceLengths(const Tensor& lengths, std::int64_t length) : all(length) {
    if (!lengths.defined()) return;
    data = lengths.data<std::int32_t>();
    stride = lengths.strides()[0];
  }
  __device__ std::int64_t operator()(std::int64_t n) const {
    return data == nullptr ? all : clamped(data[n * stride], all);
  }
};

// Dropout of weights, of which a thread has four by four: rows of four successive elements of the
// stream.
template <class T>
struct WeightDropout {
  RngAddress address;
  std::uint32_t threshold;
  T scale;
  bool on;

  WeightDropout(const RngAddress& at, double probability)
      : address(at),
        threshold(random_threshold(probability)),
        scale(static_cast<T>(1 / (1 - probability))),
        on(probability > 0) {}

  // Which of a thread's weights are kept: bit 4 i + j is set for element first(i) + j of the stream
  // if it is. One draw stands here, in loops that stay loops, for the compiler to inline it.
  template <class First>
  __device__ std::uint32_t kept(const First& first) const {
    if (!on) return 0xFFFF;
    std::uint32_t mask = 0;
    TARN_UNROLL(1)
    for (int i = 0; i < 4; ++i) {
      const std::int64_t element = first(i);
      const auto shift = static_cast<unsigned>(element % 4);
      std::uint32_t of_row = 0;
      TARN_UNROLL(1)
      for (unsigned b = 0; b < (shift > 0 ? 2U : 1U); ++b) {  // blocks of four
        const auto bits = random_block(address, static_cast<std::uint64_t>(element / 4) + b);
        for (unsigned k = 0; k < 4; ++k) of_row |= (bits[k] >= threshold ? 1U : 0U) << (4 * b + k);
      }
      mask |= (of_row >> shift & 0xF) << (4 * i);
    }
    return mask;
  }
  // What weight (i, j) is multiplied by.
  __device__ T factor(std::uint32_t mask, int i, int j) const {
    return (mask >> (4 * i + j) & 1) != 0 ? scale : T(0);
  }
};

// What a block works on: a tile of rows of one head and a slice of the columns of its results.
struct AttentionBlock {
  std::int64_t n, h, tile, slice;

  __device__ AttentionBlock(std::int64_t heads, std::int64_t tiles, std::int64_t slices) {
    std::int64_t rest = blockIdx.x;
    tile = rest % tiles;
    slice = (rest /= tiles) % slices;
    h = (rest /= slices) % heads;
    n = rest / heads;
  }
};

constexpr std::int64_t pieces_of(std::int64_t n, std::int64_t size) {
  return (n + size - 1) / size;
}

// Blocks for the tiles of all heads of [N, L, H, width], each for one slice of the columns.
inline dim3 blocks_of_heads(const Tensor& rows, std::int64_t tile, std::int64_t slices) {
  return dim3(
      static_cast<unsigned>(rows.size(0) * rows.size(2) * pieces_of(rows.size(1), tile) * slices));
}

}  // namespace tarn::kernels::cuda
