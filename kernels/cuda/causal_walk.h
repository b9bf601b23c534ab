// The one kernel behind causal linear attention, forward and backward: a walk along a sequence,
//   out[i] = sum over j <= i of (a[i] . b[j] + u[i] w[j]) x[j],
// in chunks. The sum over the chunks before lies in a state, b^T x, which stays in shared memory;
// within a chunk it is the product of the masked scores a b^T with x. See
// causal_linear_attention.cu for what a, b, x, u and w are.
#pragma once

#include "kernels/cuda/causal_chunk.h"

namespace tarn::kernels::cuda {

// A block walks one segment of one head for some columns of x. With sums_only it stores the state
// that the segment adds and nothing else; otherwise it begins with the state of those before.
template <class T, Walk kWalk, class S>
__global__ void __launch_bounds__(kWalkThreads, S::kBlocks)
    causal_walk(WalkArgs<T> p, bool sums_only) {
  using Walker = ChunkWalk<T, kWalk, S>;
  using StripTile = Tile<T, S::kChunk, S::kStrip>;
  using ColumnTile = Tile<T, S::kChunk, S::kColumns>;
  using ScoreTile = Tile<T, S::kChunk, S::kChunk>;
  TARN_SHARED(StripTile, a);
  TARN_SHARED(StripTile, b);
  TARN_SHARED(ColumnTile, x);
  TARN_SHARED(ScoreTile, scores);
  TARN_SHARED(T[S::kSharedState], shared_state);
  TARN_SHARED(T[S::kChunk], per_row);
  const WalkTiles<T, S> tiles{a, b, x, scores, per_row};

  const std::int64_t block = blockIdx.x, segment = block % p.segments;
  const std::int64_t piece = block / p.segments % p.pieces;
  const std::int64_t index = block / p.segments / p.pieces;
  const std::int64_t n = index / p.heads, h = index % p.heads;
  const std::int64_t valid = p.lengths.valid(n, p.length);
  const std::int64_t limit = Walker::kReversed ? p.length : valid;  // of what b and x are read
  const int thread = static_cast<int>(threadIdx.x);

  const std::int64_t strips = S::kStateRows == S::kStrip ? 1 : p.strips;
  const std::int64_t state_size = (strips * S::kStrip + 1) * S::kStateStride;
  T* sums = p.sums + block * state_size;
  T* state = S::kStateRows > 0 ? shared_state : sums;
  T* w_state = state + strips * S::kStrip * S::kStateStride;
  for (std::int64_t i = thread; i < state_size; i += kWalkThreads) {
    state[i] = p.segments > 1 && !sums_only ? sums[i] : T(0);
  }
  const std::int64_t begin = segment * p.segment_length, rest = p.length - begin;
  const std::int64_t end = begin + (rest < p.segment_length ? rest : p.segment_length);
  for (std::int64_t first = begin; first < end; first += S::kChunk) {
    const ChunkRows chunk{first, p.length, Walker::kReversed};
    Walker walk(tiles);
    for (std::int64_t strip = 0; strip < strips; ++strip) {
      const bool last = strip + 1 == strips;
      T* strip_state = state + strip * S::kStrip * S::kStateStride;
      walk.load(p, n, h, limit, chunk, strip, piece * S::kColumns, sums_only);
      __syncthreads();
      if (!sums_only) {
        walk.add_strip(strip_state);
        if (last) walk.finish_scores(w_state);
      }
      __syncthreads();
      walk.add_to_state(strip_state);
      if (last) walk.add_to_w_state(w_state);
      if (last && !sums_only) {
        walk.add_scores();
        if constexpr (kWalk == Walk::forward) {
          const T inverse = T(1) / (walk.sum_of_row() + p.eps);
          const std::int64_t position = first + walk.sum_row();
          if (thread % Walker::kSumThreads == 0) {
            per_row[walk.sum_row()] = inverse;
            if (piece == 0 && position < p.length) {
              p.new_inverse_sum[index * p.length + position] = inverse;
            }
          }
        }
      }
      __syncthreads();
    }
    if (sums_only) continue;
    walk.store(Rows<T>(p.result, n, h), chunk, valid, piece * S::kColumns, p.beta);
  }
  if (S::kStateRows > 0 && sums_only) {
    for (std::int64_t i = thread; i < state_size; i += kWalkThreads) sums[i] = state[i];
  }
}

// Each segment's state becomes the sum of those before it.
template <class T>
__global__ void sum_segments_before(T* sums, std::int64_t walks, std::int64_t segments,
                                    std::int64_t state_size) {
  for (std::int64_t i = first_element(); i < walks * state_size; i += all_threads()) {
    T* at = sums + i / state_size * segments * state_size + i % state_size;
    T before = 0;
    for (std::int64_t s = 0; s < segments; ++s, at += state_size) {
      const T own = *at;
      *at = before;
      before += own;
    }
  }
}

}  // namespace tarn::kernels::cuda
