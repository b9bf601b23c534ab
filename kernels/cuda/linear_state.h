// The kernels of linear attention without a causal mask: a state of each head, summed up over all
// positions, and its product with each of them. linear_attention.cu says what is what.
#pragma once

#include "kernels/cuda/head_chunk.h"

namespace tarn::kernels::cuda {

// Vectors [N, H, size] of any outer strides.
template <class T>
struct HeadVectors {
  T* data;
  std::int64_t sequence, head;

  __device__ T* of(std::int64_t n, std::int64_t h) const { return data + n * sequence + h * head; }
};

// What sums or a state's rows a block works on: one tile of kSide by kSide of it.
template <int chunk, int side>
struct StateSizes {
  static constexpr int kChunk = chunk, kSide = side;
};

template <class T>
struct SumStatesArgs {
  Heads<const T> a, x;
  Heads<const T> out;  // and the factors of grad_out: the backward's
  const T* inverse_sum = nullptr;
  Lengths lengths;
  std::int64_t length = 0, heads = 0;
  std::int64_t strips = 0, pieces = 0, segments = 0, segment_length = 0;
  Heads<T> state;  // position: a row of the state
  HeadVectors<T> row_sum = {};
  std::int64_t state_segment = 0, row_sum_segment = 0;  // from a segment's to the next one's
};

// state = sum over t of a[t]^T x[t] and row_sum = sum of w[t] a[t]; w is 1 or, in the backward, the
// gradient of the denominator. A block sums a tile of it up over one segment of the positions.
template <class T, bool kBackward, class S>
__global__ void __launch_bounds__(kWalkThreads, 3) sum_states(SumStatesArgs<T> p) {
  constexpr int kChunk = S::kChunk, kSide = S::kSide;
  using ChunkTile = Tile<T, kChunk, kSide>;
  using StateShare = Share<kWalkThreads, kSide, kSide>;
  TARN_SHARED(ChunkTile, a);
  TARN_SHARED(ChunkTile, x);
  TARN_SHARED(T[kChunk], grad_sum);
  std::int64_t index = blockIdx.x;
  const std::int64_t segment = index % p.segments;
  index /= p.segments;
  const std::int64_t first_column = index % p.pieces * kSide;
  index /= p.pieces;
  const std::int64_t first_row = index % p.strips * kSide;
  index /= p.strips;
  const std::int64_t n = index / p.heads, h = index % p.heads;
  const std::int64_t limit = p.lengths.valid(n, p.length);
  const Rows<const T> a_rows(p.a, n, h), x_rows(p.x, n, h);
  const Divided<T> divided(p.out, p.inverse_sum, n, h, p.heads, p.length);
  const int thread = static_cast<int>(threadIdx.x);
  const int column = thread % StateShare::kAcross * 4;
  const int row = thread / StateShare::kAcross * StateShare::kOfThread;

  T sums[StateShare::kOfThread][4] = {};
  T row_sum = 0;
  const std::int64_t begin = segment * p.segment_length;
  const std::int64_t end = begin + p.segment_length < limit ? begin + p.segment_length : limit;
  for (std::int64_t first = begin; first < end; first += kChunk) {
    const ChunkRows chunk{first, p.length, false};
    {
      ChunkPart<Read::rows, T, kChunk, kSide> part;
      part.fetch(a_rows, divided, chunk, limit, first_row);
      part.put(a, grad_sum, true);
    }
    // The denominator's gradient takes all columns; the block that needs it has the first ones.
    const std::int64_t last =
        kBackward && first_column == 0 ? (p.pieces - 1) * kSide : first_column;
    for (std::int64_t c = last; c >= first_column; c -= kSide) {
      ChunkPart<kBackward ? Read::gradients : Read::rows, T, kChunk, kSide> part;
      part.fetch(x_rows, divided, chunk, limit, c);
      part.put(x, grad_sum, c == last);
    }
    __syncthreads();
    add_product_of_columns(&a.at[0][row], a.kStride, &x.at[0][column], x.kStride, kChunk, sums);
    if (first_column == 0 && thread < kSide) {
      for (int t = 0; t < kChunk; ++t) {
        const T w = kBackward ? grad_sum[t] : T(1);
        row_sum += w * a.at[t][thread];
      }
    }
    __syncthreads();
  }
  Rows<T> state(p.state, n, h);
  state.data += segment * p.state_segment;
  for (int r = 0; r < StateShare::kOfThread; ++r) {
    if (first_row + row + r >= p.a.width) continue;
    Quad<T> values;
    for (int c = 0; c < 4; ++c) values.at[c] = sums[r][c];
    store_columns(state, first_row + row + r, first_column + column, T(0), values);
  }
  if (first_column == 0 && thread < kSide && first_row + thread < p.a.width) {
    p.row_sum.of(n, h)[segment * p.row_sum_segment + first_row + thread] = row_sum;
  }
}

// to = the sum over the segments, in their order, of [segments, N, H, size].
template <class T>
__global__ void add_segments(const T* from, std::int64_t segments, HeadVectors<T> to,
                             std::int64_t heads, std::int64_t size, std::int64_t elements) {
  for (std::int64_t i = first_element(); i < elements; i += all_threads()) {
    T sum = 0;
    for (std::int64_t s = 0; s < segments; ++s) sum += from[s * elements + i];
    const std::int64_t head = i / size;
    to.of(head / heads, head % heads)[i % size] = sum;
  }
}

enum class Apply { forward, grad_query, grad_key, grad_value };

template <class T>
struct ApplyStateArgs {
  Heads<const T> a, state, out;
  HeadVectors<const T> row_sum = {};  // key_sum or r
  const T* inverse_sum = nullptr;
  T* new_inverse_sum = nullptr;
  Heads<T> result;
  Lengths lengths;
  std::int64_t length = 0, heads = 0, pieces = 0, chunks = 0;
  T beta = 0, eps = 0;
};

// Loads the state's rows [row, row + kSide) and columns likewise; transposed if so asked, so that
// the tile's rows are always what a's columns meet. Neighbours then write to different banks.
template <bool kTransposed, int kSide, class T>
__device__ void load_state(const Rows<const T>& state, std::int64_t rows, std::int64_t row,
                           std::int64_t column, Tile<T, kSide, kSide>& tile) {
  constexpr int kQuads = kSide / 4;
  for (int i = static_cast<int>(threadIdx.x); i < kSide * kQuads; i += kWalkThreads) {
    const int r = kTransposed ? i % kSide : i / kQuads;
    const int c = (kTransposed ? i / kSide : i % kQuads) * 4;
    Quad<T> values = {};
    if (row + r < rows) values = load_columns(state, row + r, column + c);
    if constexpr (kTransposed) {
      for (int j = 0; j < 4; ++j) tile.at[c + j][r] = values.at[j];
    } else {
      *reinterpret_cast<Quad<T>*>(&tile.at[r][c]) = values;
    }
  }
}

// A block computes a chunk of positions and kSide columns of out or of a gradient.
template <class T, Apply kApply, class S>
__global__ void __launch_bounds__(kWalkThreads, 3) apply_state(ApplyStateArgs<T> p) {
  constexpr int kChunk = S::kChunk, kSide = S::kSide;
  constexpr bool kTransposed = kApply == Apply::grad_query || kApply == Apply::grad_key;
  using ChunkTile = Tile<T, kChunk, kSide>;
  using StateTile = Tile<T, kSide, kSide>;
  using ResultShare = Share<kWalkThreads, kChunk, kSide>;
  TARN_SHARED(ChunkTile, a);
  TARN_SHARED(StateTile, state);
  TARN_SHARED(T[kChunk], per_row);  // the inverse sums, or the denominator's gradients
  std::int64_t index = blockIdx.x;
  const ChunkRows chunk{index % p.chunks * kChunk, p.length, false};
  index /= p.chunks;
  const std::int64_t piece = index % p.pieces, first_column = piece * kSide;
  index /= p.pieces;
  const std::int64_t n = index / p.heads, h = index % p.heads;
  const Rows<const T> a_rows(p.a, n, h), state_rows(p.state, n, h);
  const Divided<T> divided(p.out, p.inverse_sum, n, h, p.heads, p.length);
  const T* row_sum = p.row_sum.of(n, h);
  const int thread = static_cast<int>(threadIdx.x);
  const int row = thread / ResultShare::kAcross, column = thread % ResultShare::kAcross * 4;
  constexpr int kPerRow = kWalkThreads / kChunk;  // threads that sum up a row's denominator
  const int sum_row = thread / kPerRow, part = thread % kPerRow;

  T sums[ResultShare::kOfThread][4] = {};
  T denominator = 0;
  for (std::int64_t at = 0; at < p.a.width; at += kSide) {
    ChunkPart<kApply == Apply::grad_query ? Read::gradients : Read::rows, T, kChunk, kSide> a_part;
    a_part.fetch(a_rows, divided, chunk, p.length, at);
    if constexpr (kTransposed) {
      load_state<true>(state_rows, p.result.width, first_column, at, state);
    } else {
      load_state<false>(state_rows, p.a.width, at, first_column, state);
    }
    a_part.put(a, per_row, at == 0);
    __syncthreads();
    add_product(a.at[row], ResultShare::kDown * a.kStride, &state.at[0][column], state.kStride,
                kSide, sums);
    if constexpr (kApply == Apply::forward) {
      for (int d = part; d < kSide && at + d < p.a.width; d += kPerRow) {
        denominator += a.at[sum_row][d] * row_sum[at + d];
      }
    }
    __syncthreads();
  }
  if constexpr (kApply == Apply::forward) {
    for (int bits = kPerRow / 2; bits > 0; bits /= 2) {
      denominator += __shfl_xor_sync(0xFFFFFFFFU, denominator, bits);
    }
    const T inverse = T(1) / (denominator + p.eps);
    const std::int64_t position = chunk.position(sum_row);
    if (part == 0) per_row[sum_row] = inverse;
    if (part == 0 && piece == 0 && position < p.length) {
      p.new_inverse_sum[index * p.length + position] = inverse;
    }
    __syncthreads();
  }
  const Rows<T> result(p.result, n, h);
  const std::int64_t valid = p.lengths.valid(n, p.length);
  for (int r = 0; r < ResultShare::kOfThread; ++r) {
    const int t = row + r * ResultShare::kDown;
    const std::int64_t position = chunk.position(t);
    if (position >= p.length) continue;
    Quad<T> values = {};
    for (int c = 0; c < 4 && position < valid; ++c) {
      values.at[c] = sums[r][c];
      if constexpr (kApply == Apply::forward) values.at[c] *= per_row[t];
      if constexpr (kTransposed) {
        const std::int64_t e = first_column + column + c;
        if (e < result.width) {
          values.at[c] += (kApply == Apply::grad_query ? per_row[t] : T(1)) * row_sum[e];
        }
      }
    }
    store_columns(result, position, first_column + column, p.beta, values);
  }
}

}  // namespace tarn::kernels::cuda
