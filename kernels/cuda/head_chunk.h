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

// What is read: rows as they are; those of grad_out, from which the gradient behind the division is
// made, grad_out[t] * inverse_sum[t]; or with them the gradient of the denominator, grad_sum[t] =
// -(grad_out[t] * inverse_sum[t]) . out[t].
enum class Read { rows, gradient, gradients };

// What the division of a head left for its gradient.
template <class T>
struct Divided {
  Rows<const T> out;
  const T* inverse_sum;

  __device__ Divided(const Heads<const T>& outs, const T* inverse_sums, std::int64_t n,
                     std::int64_t h, std::int64_t heads, std::int64_t length)
      : out(outs, n, h), inverse_sum(inverse_sums + (n * heads + h) * length) {}
};

// A thread's part of kWidth columns of a chunk. Reading is apart from writing, so that the reads of
// several tiles can be under way at once.
template <Read kRead, class T, int kChunk, int kWidth>
struct ChunkPart {
  static constexpr int kLanes = kWidth / 4, kStep = kWalkThreads / kLanes, kReads = kChunk / kStep;
  static_assert(kStep * kReads == kChunk);
  Quad<T> values[kReads] = {};
  Quad<T> outs[kRead == Read::gradients ? kReads : 1] = {};
  T factors[kRead == Read::rows ? 1 : kReads] = {};

  static __device__ int row(int r) { return static_cast<int>(threadIdx.x) / kLanes + r * kStep; }
  static __device__ int column() { return static_cast<int>(threadIdx.x) % kLanes * 4; }

  // Columns from `first` on. Rows of positions outside of [0, limit) are zeros.
  __device__ void fetch(const Rows<const T>& rows, const Divided<T>& divided,
                        const ChunkRows& chunk, std::int64_t limit, std::int64_t first) {
    for (int r = 0; r < kReads; ++r) {
      const std::int64_t position = chunk.position(row(r));
      if (position < 0 || position >= limit) continue;
      values[r] = load_columns(rows, position, first + column());
      if constexpr (kRead != Read::rows) factors[r] = divided.inverse_sum[position];
      if constexpr (kRead == Read::gradients) {
        outs[r] = load_columns(divided.out, position, first + column());
      }
    }
  }

  // These columns' part of grad_sum[t] replaces what is there, or is added to it.
  __device__ void put(Tile<T, kChunk, kWidth>& tile, T* grad_sum, bool replaces) {
    for (int r = 0; r < kReads; ++r) {
      if constexpr (kRead != Read::rows) {
        for (T& value : values[r].at) value *= factors[r];
      }
      *reinterpret_cast<Quad<T>*>(&tile.at[row(r)][column()]) = values[r];
      if constexpr (kRead == Read::gradients) {
        T sum = 0;
        for (int i = 0; i < 4; ++i) sum -= values[r].at[i] * outs[r].at[i];
        for (int bits = kLanes / 2; bits > 0; bits /= 2) {
          sum += __shfl_xor_sync(0xFFFFFFFFU, sum, bits);
        }
        if (column() == 0) grad_sum[row(r)] = replaces ? sum : grad_sum[row(r)] + sum;
      }
    }
  }
};

}  // namespace tarn::kernels::cuda
