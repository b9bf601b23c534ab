// Sums over the rows of a matrix, in f64: a block adds up a chunk of the rows for 32 columns, and
// the chunks' sums are added in their order.
#pragma once

#include <algorithm>

#include "kernels/cuda/gpu.h"
#include "kernels/cuda/warps.h"

namespace tarn::kernels::cuda {

// At most 64 chunks, so that the second sum is short.
inline std::int64_t rows_per_chunk(std::int64_t rows) {
  return std::max<std::int64_t>(64, quotient_up(rows, 64));
}
inline std::int64_t chunks_of_rows(std::int64_t rows) {
  return quotient_up(rows, rows_per_chunk(rows));
}

// Blocks of kThreads: blockIdx.x has 32 columns, blockIdx.y a chunk.
inline dim3 column_sum_grid(std::int64_t rows, std::int64_t columns) {
  return dim3(static_cast<unsigned>(quotient_up(columns, kWarp)),
              static_cast<unsigned>(chunks_of_rows(rows)));
}

// total = beta * total + the sum over the chunks of partial[chunk * stride + column].
template <class T>
__global__ void add_column_sums(const double* partial, std::int64_t chunks, std::int64_t stride,
                                T* total, double beta, std::int64_t columns) {
  for (std::int64_t i = first_element(); i < columns; i += all_threads()) {
    double sum = beta == 0 ? 0 : beta * static_cast<double>(total[i]);
    for (std::int64_t c = 0; c < chunks; ++c) sum += partial[c * stride + i];
    total[i] = static_cast<T>(sum);
  }
}

}  // namespace tarn::kernels::cuda
