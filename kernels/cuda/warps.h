// Rows that belong to a warp each. But for blocks_for_rows, all functions are called by all threads
// of a warp, for the same row, and give each thread the same result.
#pragma once

#include <cmath>

#include "kernels/cuda/gpu.h"

namespace tarn::kernels::cuda {

constexpr int kWarp = 32;
constexpr int kWarps = kThreads / kWarp;  // of a block, and so its rows

// Blocks for `rows` rows, a warp each; those of the last block may be fewer.
inline dim3 blocks_for_rows(std::int64_t rows) {
  return dim3(static_cast<unsigned>((rows + kWarps - 1) / kWarps));
}

__device__ inline std::int64_t warp_row() { return first_element() / kWarp; }
__device__ inline int lane() { return static_cast<int>(threadIdx.x) % kWarp; }

// Sums one value a thread in a fixed order.
template <class T>
__device__ T warp_sum(T value) {
  for (int bit = kWarp / 2; bit > 0; bit /= 2) value += __shfl_xor_sync(~0U, value, bit);
  return value;
}

// The index of the largest element, the first among equals.
template <class T>
__device__ std::int64_t index_of_largest(const T* row, std::int64_t count) {
  std::int64_t best = 0;
  T largest = row[0];
  for (std::int64_t i = lane(); i < count; i += kWarp) {
    if (largest < row[i]) {
      largest = row[i];
      best = i;
    }
  }
  for (int bit = kWarp / 2; bit > 0; bit /= 2) {
    const T other = __shfl_xor_sync(~0U, largest, bit);
    const std::int64_t index = __shfl_xor_sync(~0U, best, bit);
    if (largest < other || (largest == other && index < best)) {
      largest = other;
      best = index;
    }
  }
  return best;
}

// log(sum of exp(row)), given the index of its largest element. It is NaN if any element is.
template <class T>
__device__ double log_sum_exp(const T* row, std::int64_t count, std::int64_t largest) {
  const double top = static_cast<double>(row[largest]);
  double total = 0;
  for (std::int64_t i = lane(); i < count; i += kWarp) {
    total += std::exp(static_cast<double>(row[i]) - top);
  }
  return top + std::log(warp_sum(total));
}

}  // namespace tarn::kernels::cuda
