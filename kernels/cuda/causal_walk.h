// The one kernel behind causal linear attention, forward and backward: a walk along a sequence,
//   out[i] = sum over j <= i of (a[i] . b[j] + u[i] w[j]) x[j],
// in chunks. The sum over the chunks before lies in a state, b^T x, which stays in shared memory;
// within a chunk it is the product of the masked scores a b^T with x. See
// causal_linear_attention.cu for what a, b, x, u and w are.
#pragma once

#include "kernels/cuda/chunk.h"
#include "kernels/cuda/heads.h"
#include "kernels/cuda/tile_products.h"

namespace tarn::kernels::cuda {

// Which product: the output or one of the gradients. The last two walk from the end.
enum class Walk { forward, grad_query, grad_key, grad_value };

// What a kernel is compiled for. A chunk is kChunk positions. The width of a and b is walked in
// strips of kStrip; kStateRows of them have their state in shared memory, or, if that is 0, any
// number of them in the scratch. A block has kColumns of the columns of x.
template <int chunk, int strip, int state_rows, int columns>
struct WalkSizes {
  static constexpr int kChunk = chunk, kStrip = strip, kStateRows = state_rows, kColumns = columns;
  // A row of the state ends in what belongs to no column: the sum of b, for the denominator.
  static constexpr int kStateStride = kColumns + 4;
  static constexpr int kSharedState = kStateRows > 0 ? (kStateRows + 1) * kStateStride : 1;
};

template <class T>
struct WalkArgs {
  Heads<const T> a, b, x;
  Heads<T> result;
  Heads<const T> out;  // and the factors of grad_out, in the walks that read it
  const T* inverse_sum = nullptr;
  T* new_inverse_sum = nullptr;  // the forward's second result
  Lengths lengths;
  std::int64_t length = 0, heads = 0;
  T beta = 0, eps = 0;
  std::int64_t pieces = 0, segments = 0, segment_length = 0, strips = 0;
  T* sums = nullptr;  // a state for each block: with several segments that of the positions before

  __host__ __device__ std::int64_t state_size(int strip, int stride) const {
    return (strips * strip + 1) * stride;
  }
};

// A block walks one segment of one head for some columns of x. With sums_only it stores the state
// that the segment adds and nothing else; otherwise it begins with the state of those before.
template <class T, Walk kWalk, class S>
__global__ void __launch_bounds__(kWalkThreads, 3) causal_walk(WalkArgs<T> p, bool sums_only) {
  constexpr int kChunk = S::kChunk, kStrip = S::kStrip, kColumns = S::kColumns;
  constexpr int kStride = S::kStateStride;
  constexpr bool kReversed = kWalk == Walk::grad_key || kWalk == Walk::grad_value;
  constexpr bool kGradSum = kWalk == Walk::grad_query || kWalk == Walk::grad_key;
  using StripTile = Tile<T, kChunk, kStrip>;
  using ColumnTile = Tile<T, kChunk, kColumns>;
  using ScoreTile = Tile<T, kChunk, kChunk>;
  TARN_SHARED(StripTile, a);
  TARN_SHARED(StripTile, b);
  TARN_SHARED(ColumnTile, x);
  TARN_SHARED(ScoreTile, scores);
  TARN_SHARED(T[S::kSharedState], shared_state);
  TARN_SHARED(T[kChunk], per_row);  // the inverse sums, or the denominator's gradients

  const std::int64_t strips = S::kStateRows == kStrip ? 1 : p.strips;
  const std::int64_t block = blockIdx.x, segment = block % p.segments;
  const std::int64_t piece = block / p.segments % p.pieces;
  const std::int64_t index = block / p.segments / p.pieces;
  const std::int64_t n = index / p.heads, h = index % p.heads;
  const std::int64_t first_column = piece * kColumns;
  const std::int64_t valid = p.lengths.valid(n, p.length);
  const Rows<const T> a_rows(p.a, n, h), b_rows(p.b, n, h), x_rows(p.x, n, h), out(p.out, n, h);
  const Rows<T> result(p.result, n, h);
  const T* inverse_sum = p.inverse_sum + index * p.length;
  const int thread = static_cast<int>(threadIdx.x);

  const std::int64_t state_size = p.state_size(kStrip, kStride);
  T* sums = p.sums + block * state_size;
  T* state = S::kStateRows > 0 ? shared_state : sums;
  const bool from_sums = p.segments > 1 && !sums_only;
  for (std::int64_t i = thread; i < state_size; i += kWalkThreads) {
    state[i] = from_sums ? sums[i] : T(0);
  }
  T* row_state = state + strips * kStrip * kStride;  // the sum of w x

  constexpr int kScores = kChunk / 8;  // columns of the scores that a thread has, 8 apart
  using ScoreShare = Share<kWalkThreads, kChunk, kChunk, 8>;
  using ResultShare = Share<kWalkThreads, kChunk, kColumns>;
  using StateShare = Share<kWalkThreads, kStrip, kColumns>;
  const int score_column = thread % ScoreShare::kAcross;
  const int score_row = thread / ScoreShare::kAcross % ScoreShare::kRowStep;  // % tells its range
  const int row = thread / ResultShare::kAcross, column = thread % ResultShare::kAcross * 4;
  const int state_row = thread / StateShare::kAcross * StateShare::kOfThread;
  constexpr int kPerRow = kWalkThreads / kChunk;  // threads that sum up a row's denominator
  const int sum_row = thread / kPerRow, part = thread % kPerRow;

  const std::int64_t begin = segment * p.segment_length;
  const std::int64_t end =
      begin + p.segment_length < p.length ? begin + p.segment_length : p.length;
  for (std::int64_t first = begin; first < end; first += kChunk) {
    const ChunkRows chunk{first, p.length, kReversed};
    T score_sums[ScoreShare::kOfThread][kScores] = {};
    T result_sums[ResultShare::kOfThread][4] = {};
    T denominator = 0;
    for (std::int64_t strip = 0; strip < strips; ++strip) {
      const bool last = strip + 1 == strips;
      const std::int64_t at = strip * kStrip;
      T* strip_state = state + at * kStride;
      if (!sums_only) {
        if constexpr (kWalk == Walk::grad_query) {
          load_gradient<true>(a_rows, out, inverse_sum, chunk, at, a, per_row, strip == 0);
        } else {
          load_chunk(a_rows, chunk, p.length, at, a);
        }
      }
      if constexpr (kWalk == Walk::grad_key) {
        load_gradient<true>(b_rows, out, inverse_sum, chunk, at, b, per_row, strip == 0);
      } else {
        load_chunk(b_rows, chunk, kReversed ? p.length : valid, at, b);
      }
      if (strip == 0) {
        if constexpr (kWalk == Walk::grad_value) {
          load_gradient<false>(x_rows, out, inverse_sum, chunk, first_column, x, per_row, true);
        } else {
          load_chunk(x_rows, chunk, kReversed ? p.length : valid, first_column, x);
        }
      }
      __syncthreads();
      if (!sums_only) {
        add_product_of_rows<kStrip, ScoreShare::kRowStep, ScoreShare::kAcross>(
            a.at[score_row], a.kStride, b.at[score_column], b.kStride, score_sums);
        add_product<kStrip, ResultShare::kRowStep>(a.at[row], a.kStride, strip_state + column,
                                                   kStride, result_sums);
        if constexpr (kWalk == Walk::forward) {
          for (int d = part; d < kStrip; d += kPerRow) {
            denominator += a.at[sum_row][d] * strip_state[d * kStride + kColumns];
          }
        }
        if (last) {
          for (int r = 0; r < ScoreShare::kOfThread; ++r) {
            const int i = score_row + r * ScoreShare::kRowStep;
            const T u = kGradSum && !kReversed ? per_row[i] : T(0);
            for (int c = 0; c < kScores; ++c) {
              const int j = score_column + c * ScoreShare::kAcross;
              const T w = kGradSum && kReversed ? per_row[j] : T(0);
              scores.at[i][j] = j <= i ? score_sums[r][c] + u + w : T(0);
            }
          }
          if constexpr (kGradSum) {
            for (int r = 0; r < ResultShare::kOfThread; ++r) {
              const T u = kReversed ? T(1) : per_row[row + r * ResultShare::kRowStep];
              for (int c = 0; c < 4; ++c) result_sums[r][c] += u * row_state[column + c];
            }
          }
        }
      }
      __syncthreads();
      T state_sums[StateShare::kOfThread][4] = {};
      add_product_of_columns<kChunk>(&b.at[0][state_row], b.kStride, &x.at[0][column], x.kStride,
                                     state_sums);
      for (int r = 0; r < StateShare::kOfThread; ++r) {
        for (int c = 0; c < 4; ++c) {
          strip_state[(state_row + r) * kStride + column + c] += state_sums[r][c];
        }
      }
      if constexpr (kWalk == Walk::forward) {
        for (int d = thread; d < kStrip; d += kWalkThreads) {
          T sum = 0;
          for (int j = 0; j < kChunk; ++j) sum += b.at[j][d];
          strip_state[d * kStride + kColumns] += sum;
        }
      }
      if constexpr (kGradSum) {
        for (int c = thread; last && c < kColumns; c += kWalkThreads) {
          T sum = 0;
          for (int j = 0; j < kChunk; ++j) sum += (kReversed ? per_row[j] : T(1)) * x.at[j][c];
          row_state[c] += sum;
        }
      }
      if (last && !sums_only) {
        add_product<kChunk, ResultShare::kRowStep>(scores.at[row], scores.kStride, &x.at[0][column],
                                                   x.kStride, result_sums);
        if constexpr (kWalk == Walk::forward) {
          for (int j = part; j < kChunk; j += kPerRow) denominator += scores.at[sum_row][j];
          for (int bits = kPerRow / 2; bits > 0; bits /= 2) {
            denominator += __shfl_xor_sync(0xFFFFFFFFU, denominator, bits);
          }
          if (part == 0) {
            const T inverse = T(1) / (denominator + p.eps);
            per_row[sum_row] = inverse;
            if (piece == 0 && first + sum_row < p.length) {
              p.new_inverse_sum[index * p.length + first + sum_row] = inverse;
            }
          }
        }
      }
      __syncthreads();
    }
    if (sums_only) continue;
    for (int r = 0; r < ResultShare::kOfThread; ++r) {
      const int i = row + r * ResultShare::kRowStep;
      const std::int64_t position = chunk.position(i);
      if (position < 0 || position >= p.length) continue;
      Quad<T> values = {};
      if (!kReversed || position < valid) {
        for (int c = 0; c < 4; ++c) {
          values.at[c] =
              kWalk == Walk::forward ? result_sums[r][c] * per_row[i] : result_sums[r][c];
        }
      }
      store_columns(result, position, first_column + column, p.beta, values);
    }
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
