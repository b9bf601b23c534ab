// A chunk of the positions of one head, read into shared memory by a block of kWalkThreads.
#pragma once

#include "kernels/cuda/heads.h"
#include "kernels/cuda/tile_products.h"

namespace tarn::kernels::cuda {

constexpr int kWalkThreads = 128;

// Rows of a chunk: row t is position first + t, or as many from the end.
struct ChunkRows {
  std::int64_t first, length;
  bool reversed;

  __device__ std::int64_t position(int t) const {
    return reversed ? length - 1 - (first + t) : first + t;
  }
};

// Loads columns from `column` on of a chunk's rows; those outside of [0, limit) become zeros.
template <int kChunk, int kWidth, class T>
__device__ void load_chunk(const Rows<const T>& rows, const ChunkRows& chunk, std::int64_t limit,
                           std::int64_t column, Tile<T, kChunk, kWidth>& tile) {
  constexpr int kLanes = kWidth / 4;
  const int c = static_cast<int>(threadIdx.x) % kLanes * 4;
  for (int t = static_cast<int>(threadIdx.x) / kLanes; t < kChunk; t += kWalkThreads / kLanes) {
    const std::int64_t position = chunk.position(t);
    Quad<T> values = {};
    if (position >= 0 && position < limit) values = load_columns(rows, position, column + c);
    *reinterpret_cast<Quad<T>*>(&tile.at[t][c]) = values;
  }
}

// The same for the gradient behind the division, grad_out[t] * inverse_sum[t]. These columns' part
// of that of the denominator, -(grad_out[t] * inverse_sum[t]) . out[t], becomes grad_sum[t] if they
// are the first, or is added to it.
template <bool kWithGradSum, int kChunk, int kWidth, class T>
__device__ void load_gradient(const Rows<const T>& rows, const Rows<const T>& out,
                              const T* inverse_sum, const ChunkRows& chunk, std::int64_t column,
                              Tile<T, kChunk, kWidth>& tile, T* grad_sum, bool first_columns) {
  constexpr int kLanes = kWidth / 4;
  const int c = static_cast<int>(threadIdx.x) % kLanes * 4;
  for (int t = static_cast<int>(threadIdx.x) / kLanes; t < kChunk; t += kWalkThreads / kLanes) {
    const std::int64_t position = chunk.position(t);
    Quad<T> values = {};
    T sum = 0;
    if (position >= 0 && position < chunk.length) {
      values = load_columns(rows, position, column + c);
      const T factor = inverse_sum[position];
      for (T& value : values.at) value *= factor;
      if (kWithGradSum) {
        const Quad<T> outs = load_columns(out, position, column + c);
        for (int i = 0; i < 4; ++i) sum -= values.at[i] * outs.at[i];
      }
    }
    *reinterpret_cast<Quad<T>*>(&tile.at[t][c]) = values;
    if (kWithGradSum) {
      for (int bits = kLanes / 2; bits > 0; bits /= 2) {
        sum += __shfl_xor_sync(0xFFFFFFFFU, sum, bits);
      }
      if (c == 0) grad_sum[t] = first_columns ? sum : grad_sum[t] + sum;
    }
  }
}

}  // namespace tarn::kernels::cuda
