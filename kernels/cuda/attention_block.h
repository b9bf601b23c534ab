// What kernels of attention that go by tiles are told: dropout, and which part of the problem a
// block works on.
#pragma once

#include "kernels/cuda/dropout.h"
#include "kernels/cuda/heads.h"

namespace tarn::kernels::cuda {

// Dropout of weights, of which a thread has four by four: rows of four successive elements of the
// stream.
template <class T>
struct WeightDropout : Dropout<T> {
  using Dropout<T>::Dropout;

  // Which of a thread's weights are kept: bit 4 i + j is set for element first(i) + j of the stream
  // if it is. One draw stands here, in loops that stay loops, for the compiler to inline it.
  template <class First>
  __device__ std::uint32_t kept(const First& first) const {
    if (!this->on) return 0xFFFF;
    std::uint32_t mask = 0;
    TARN_UNROLL(1)
    for (int i = 0; i < 4; ++i) {
      const std::int64_t element = first(i);
      const auto shift = static_cast<unsigned>(element % 4);
      std::uint32_t of_row = 0;
      TARN_UNROLL(1)
      for (unsigned b = 0; b < (shift > 0 ? 2U : 1U); ++b) {  // blocks of four
        const auto bits = random_block(this->address, static_cast<std::uint64_t>(element / 4) + b);
        for (unsigned k = 0; k < 4; ++k)
          of_row |= (bits[k] >= this->threshold ? 1U : 0U) << (4 * b + k);
      }
      mask |= (of_row >> shift & 0xF) << (4 * i);
    }
    return mask;
  }
  // What weight (i, j) is multiplied by.
  __device__ T factor(std::uint32_t mask, int i, int j) const {
    return (mask >> (4 * i + j) & 1) != 0 ? this->scale : T(0);
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

// Blocks for the tiles of all heads of [N, L, H, width], each for one slice of the columns.
inline dim3 blocks_of_heads(const Tensor& rows, std::int64_t tile, std::int64_t slices) {
  return dim3(static_cast<unsigned>(rows.size(0) * rows.size(2) * quotient_up(rows.size(1), tile) *
                                    slices));
}

}  // namespace tarn::kernels::cuda
