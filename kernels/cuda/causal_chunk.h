// One chunk of the walk of causal linear attention; causal_walk.h says what it computes.
#pragma once

#include "kernels/cuda/head_chunk.h"
#include "kernels/cuda/heads.h"
#include "kernels/cuda/tile_products.h"

namespace tarn::kernels::cuda {

// Which product: the output or one of the gradients. The last two walk from the end.
enum class Walk { forward, grad_query, grad_key, grad_value };

// What a kernel is compiled for. A chunk is kChunk positions. The width of a and b is walked in
// strips of kStrip; kStateRows of it have their state in shared memory, or, if that is 0, any
// number have it in the scratch. A block has kColumns of the columns of x; kBlocks of them are to
// fit on a processor.
template <int chunk, int strip, int state_rows, int columns, int blocks>
struct WalkSizes {
  static constexpr int kChunk = chunk, kStrip = strip, kStateRows = state_rows, kColumns = columns;
  static constexpr int kBlocks = blocks;
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
};

// The tiles of one chunk. Where the width is walked in several strips, a and b hold one.
template <class T, class S>
struct WalkTiles {
  Tile<T, S::kChunk, S::kStrip>& a;
  Tile<T, S::kChunk, S::kStrip>& b;
  Tile<T, S::kChunk, S::kColumns>& x;
  Tile<T, S::kChunk, S::kChunk>& scores;
  T (&per_row)[S::kChunk];  // the inverse sums, or the denominator's gradients
};

// What one thread does for one chunk, and the sums that it keeps of it. A barrier must stand
// between load(), add_strip() and add_to_state(), and between the latter and the next call.
template <class T, Walk kWalk, class S>
struct ChunkWalk {
  static constexpr int kChunk = S::kChunk, kStrip = S::kStrip, kColumns = S::kColumns;
  static constexpr int kStride = S::kStateStride;
  static constexpr bool kReversed = kWalk == Walk::grad_key || kWalk == Walk::grad_value;
  static constexpr bool kGradSum = kWalk == Walk::grad_query || kWalk == Walk::grad_key;
  static constexpr int kScores = kChunk / 8;  // columns of the scores that a thread has, 8 apart
  using ScoreShare = Share<kWalkThreads, kChunk, kChunk, 8>;
  using ResultShare = Share<kWalkThreads, kChunk, kColumns>;
  using StateShare = Share<kWalkThreads, kStrip, kColumns>;
  static constexpr int kSumThreads = kWalkThreads / kChunk;  // that sum up a row's denominator

  const WalkTiles<T, S>& tiles;
  int thread;
  T score_sums[ScoreShare::kOfThread][kScores] = {};
  T result_sums[ResultShare::kOfThread][4] = {};
  T denominator = 0;

  __device__ explicit ChunkWalk(const WalkTiles<T, S>& t)
      : tiles(t), thread(static_cast<int>(threadIdx.x)) {}

  // `%` changes none of these: it tells compilers what they are below.
  __device__ int score_row() const {
    return thread / ScoreShare::kAcross % ScoreShare::kDown * ScoreShare::kOfThread;
  }
  __device__ int score_column() const { return thread % ScoreShare::kAcross; }
  __device__ int row() const {
    return thread / ResultShare::kAcross % ResultShare::kDown * ResultShare::kOfThread;
  }
  __device__ int column() const { return thread % ResultShare::kAcross * 4; }
  __device__ int sum_row() const { return thread / kSumThreads % kChunk; }

  // Strips of a and b and, with the first, the columns of x; nothing of a where only sums are
  // wanted.
  __device__ void load(const WalkArgs<T>& p, std::int64_t n, std::int64_t h, std::int64_t limit,
                       const ChunkRows& chunk, std::int64_t strip, std::int64_t first_column,
                       bool sums_only) {
    using enum Read;
    const Divided<T> divided(p.out, p.inverse_sum, n, h, p.heads, p.length);
    const std::int64_t at = strip * kStrip;
    ChunkPart<kWalk == Walk::grad_query ? gradients : rows, T, kChunk, kStrip> a;
    ChunkPart<kWalk == Walk::grad_key ? gradients : rows, T, kChunk, kStrip> b;
    ChunkPart<kWalk == Walk::grad_value ? gradient : rows, T, kChunk, kColumns> x;
    if (!sums_only) a.fetch(Rows<const T>(p.a, n, h), divided, chunk, p.length, at);
    b.fetch(Rows<const T>(p.b, n, h), divided, chunk, limit, at);
    if (strip == 0) x.fetch(Rows<const T>(p.x, n, h), divided, chunk, limit, first_column);
    if (!sums_only) a.put(tiles.a, tiles.per_row, strip == 0);
    b.put(tiles.b, tiles.per_row, strip == 0);
    if (strip == 0) x.put(tiles.x, tiles.per_row, true);
  }

  // What the strip adds to the scores, and its state to the results.
  __device__ void add_strip(const T* state) {
    add_product_of_rows(tiles.a.at[score_row()], tiles.a.kStride, tiles.b.at[score_column()],
                        ScoreShare::kAcross * tiles.b.kStride, kStrip, score_sums);
    add_product(tiles.a.at[row()], tiles.a.kStride, state + column(), kStride, kStrip, result_sums);
    if constexpr (kWalk == Walk::forward) {
      for (int d = thread % kSumThreads; d < kStrip; d += kSumThreads) {
        denominator += tiles.a.at[sum_row()][d] * state[d * kStride + kColumns];
      }
    }
  }

  // After the last strip: the masked scores, and the part of u w in both.
  __device__ void finish_scores(const T* w_state) {
    for (int r = 0; r < ScoreShare::kOfThread; ++r) {
      const int i = score_row() + r;
      for (int c = 0; c < kScores; ++c) {
        const int j = score_column() + c * ScoreShare::kAcross;
        T score = score_sums[r][c];
        if constexpr (kGradSum) score += tiles.per_row[kReversed ? j : i];
        tiles.scores.at[i][j] = j <= i ? score : T(0);
      }
    }
    if constexpr (kGradSum) {
      for (int r = 0; r < ResultShare::kOfThread; ++r) {
        const T u = kReversed ? T(1) : tiles.per_row[row() + r];
        for (int c = 0; c < 4; ++c) result_sums[r][c] += u * w_state[column() + c];
      }
    }
  }

  // state += b^T x, and the sum of b in its last column.
  __device__ void add_to_state(T* state) {
    const int first = thread / StateShare::kAcross * StateShare::kOfThread;
    T sums[StateShare::kOfThread][4] = {};
    add_product_of_columns(&tiles.b.at[0][first], tiles.b.kStride, &tiles.x.at[0][column()],
                           tiles.x.kStride, kChunk, sums);
    for (int r = 0; r < StateShare::kOfThread; ++r) {
      for (int c = 0; c < 4; ++c) state[(first + r) * kStride + column() + c] += sums[r][c];
    }
    if constexpr (kWalk == Walk::forward) {
      if (thread >= kStrip) return;
      T sum = 0;
      for (int j = 0; j < kChunk; ++j) sum += tiles.b.at[j][thread];
      state[thread * kStride + kColumns] += sum;
    }
  }

  // w_state += the sum of w x.
  __device__ void add_to_w_state(T* w_state) {
    if (!kGradSum || thread >= kColumns) return;
    T sum = 0;
    for (int j = 0; j < kChunk; ++j) {
      sum += (kReversed ? tiles.per_row[j] : T(1)) * tiles.x.at[j][thread];
    }
    w_state[thread] += sum;
  }

  // The results' part within the chunk. The rows of a warp see no key past the last of them.
  __device__ void add_scores() {
    constexpr int kRowsOfWarp = 32 / ResultShare::kAcross * ResultShare::kOfThread;
    add_product(tiles.scores.at[row()], tiles.scores.kStride, &tiles.x.at[0][column()],
                tiles.x.kStride, (thread / 32 + 1) * kRowsOfWarp, result_sums);
  }

  // The denominator of a row: all of the kSumThreads threads that share it get it.
  __device__ T sum_of_row() {
    T sum = denominator;
    for (int j = thread % kSumThreads; j < kChunk; j += kSumThreads) {
      sum += tiles.scores.at[sum_row()][j];
    }
    for (int bits = kSumThreads / 2; bits > 0; bits /= 2) {
      sum += __shfl_xor_sync(0xFFFFFFFFU, sum, bits);
    }
    return sum;
  }

  // Gradients of positions at or past `valid` are zero in the walks from the end.
  __device__ void store(const Rows<T>& result, const ChunkRows& chunk, std::int64_t valid,
                        std::int64_t first_column, T beta) {
    for (int r = 0; r < ResultShare::kOfThread; ++r) {
      const std::int64_t position = chunk.position(row() + r);
      if (position < 0 || position >= chunk.length) continue;
      Quad<T> values = {};
      for (int c = 0; c < 4 && (!kReversed || position < valid); ++c) {
        values.at[c] = result_sums[r][c];
        if constexpr (kWalk == Walk::forward) values.at[c] *= tiles.per_row[row() + r];
      }
      store_columns(result, position, first_column + column(), beta, values);
    }
  }
};

}  // namespace tarn::kernels::cuda
