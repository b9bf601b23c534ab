// LSH attention, a launch a round, since each round adds to the outputs of every position. Blocks
// take tiles of queries or of keys from one chunk of the round's order. The backward computes the
// weights again, in blocks that own queries and then in blocks that own keys, so that every
// gradient is summed by one thread in a fixed order.
#include <cmath>
#include <type_traits>

#include "kernels/cuda/attention_block.h"
#include "kernels/cuda/attention_tile.h"
#include "kernels/cuda/gpu.h"
#include "kernels/cuda/lsh_window.h"
#include "kernels/dtype_switch.h"
#include "kernels/lsh_attention.h"
#include "kernels/table.h"

namespace tarn::kernels::cuda {

// inverse_norms[n, h, l] = 1 / |query|, or 0 for a query of 0. A warp takes a row.
template <class T>
__global__ void lsh_inverse_norms(Heads<const T> query, T* inverse_norms, std::int64_t heads,
                                  std::int64_t length, std::int64_t width, std::int64_t n) {
  const int lane = static_cast<int>(threadIdx.x) % warpSize;
  for (std::int64_t i = first_element() / warpSize; i < n; i += all_threads() / warpSize) {
    const T* row = query.row(i / length / heads, i / length % heads, i % length);
    T sum = 0;
    for (std::int64_t e = lane; e < width; e += warpSize) sum += row[e] * row[e];
    for (int step = warpSize / 2; step > 0; step /= 2) sum += __shfl_xor_sync(~0U, sum, step);
    if (lane == 0) inverse_norms[i] = sum == T(0) ? T(0) : 1 / std::sqrt(sum);
  }
}

template <class T, int kColumns>
__global__ void lsh_forward_tile(LshProblem<T> p, Heads<T> out, std::int64_t round) {
  using Tile = LshTile<T, kColumns>;
  TARN_SHARED(typename Tile::Operands, operands);
  TARN_SHARED(typename Tile::Weights, weights);
  const AttentionBlock at(p.heads, p.tiles(), quotient_up(p.out_width, kColumns));
  const LshSlots slots(p, at.tile);
  const std::int32_t* order = p.order_of(at, round);
  OnlineSoftmax<Tile, T> softmax[4];
  T sums[4][Tile::kEach] = {};
  for (std::int64_t s = slots.first_key; s < slots.chunk_end; s += kLshRows) {
    const std::int64_t s_end = std::min(s + kLshRows, slots.chunk_end);
    const std::uint32_t kept = p.template kept<Tile>(at, round, slots.first, s);
    LshScores<T> scores;
    p.template scores<Tile>(at, order, slots.first, slots.end, s, s_end, operands, scores);
    TARN_UNROLL(4)
    for (int i = 0; i < 4; ++i) {
      T row[4];
      const T rescale = scores.add_to(softmax[i], i, row);
      for (T& sum : sums[i]) sum *= rescale;
      for (int j = 0; j < 4; ++j) row[j] *= p.dropout.factor(kept, i, j);
      Tile::store(i, row, weights);
    }
    Tile::template add_weighted<false>(
        weights, p.rows(p.value, at, order, s, s_end, p.lengths.valid(at.n, p.length)),
        at.slice * kColumns, p.out_width, operands, sums);
  }
  TARN_UNROLL(4)
  for (int i = 0; i < 4; ++i) {
    const std::int64_t slot = slots.first + Tile::query(i);
    if (slot >= slots.end) continue;
    const T share = softmax[i].share() / static_cast<T>(p.rounds);
    for (T& sum : sums[i]) sum *= share;
    Tile::update(round == 0 ? T(0) : T(1), sums[i], out.row(at.n, at.h, order[slot]),
                 at.slice * kColumns, p.out_width);
  }
}

// log_sum_exp and delta of a tile of queries.
template <class T>
__global__ void lsh_statistics_tile(LshBackwardProblem<T> p, std::int64_t round) {
  using Tile = LshTile<T, 32>;
  TARN_SHARED(typename Tile::Operands, operands);
  const AttentionBlock at(p.heads, p.tiles(), 1);
  const LshSlots slots(p, at.tile);
  OnlineSoftmax<Tile, T> softmax[4];
  T deltas[4] = {};
  for (std::int64_t s = slots.first_key; s < slots.chunk_end; s += kLshRows) {
    LshScores<T> scores;
    T grads[4][4];
    p.template scores_and_gradients<Tile>(at, round, slots.first, slots.end, s,
                                          std::min(s + kLshRows, slots.chunk_end), operands, scores,
                                          grads);
    TARN_UNROLL(4)
    for (int i = 0; i < 4; ++i) {
      T row[4];
      deltas[i] *= scores.add_to(softmax[i], i, row);
      for (int j = 0; j < 4; ++j) deltas[i] += scores.seen(i, j) ? row[j] * grads[i][j] : T(0);
    }
  }
  TARN_UNROLL(4)
  for (int i = 0; i < 4; ++i) {
    const T delta = Tile::sum_of_row(deltas[i]) * softmax[i].share();
    const std::int64_t slot = slots.first + Tile::query(i);
    if (slot >= slots.end || Tile::x() > 0) continue;
    p.log_sum_exp[p.head(at) * p.length + slot] = softmax[i].log_sum_exp();
    p.delta[p.head(at) * p.length + slot] = delta;
  }
}

// The gradients of queries, but for what they receive as keys.
template <class T, int kColumns>
__global__ void lsh_grad_query_tile(LshBackwardProblem<T> p, Heads<T> grad_query, T beta,
                                    std::int64_t round) {
  using Tile = LshTile<T, kColumns>;
  TARN_SHARED(typename Tile::Operands, operands);
  TARN_SHARED(typename Tile::Weights, stored);
  const AttentionBlock at(p.heads, p.tiles(), quotient_up(p.width, kColumns));
  const LshSlots slots(p, at.tile);
  const std::int32_t* order = p.order_of(at, round);
  T sums[4][Tile::kEach] = {};
  for (std::int64_t s = slots.first_key; s < slots.chunk_end; s += kLshRows) {
    const std::int64_t s_end = std::min(s + kLshRows, slots.chunk_end);
    LshScores<T> scores;
    T grads[4][4];
    const std::uint32_t kept = p.template scores_and_gradients<Tile>(
        at, round, slots.first, slots.end, s, s_end, operands, scores, grads);
    T score_dot_grad[4] = {};
    p.template finish<Tile>(at, slots.first, slots.end, kept, scores, grads, score_dot_grad);
    TARN_UNROLL(4)
    for (int i = 0; i < 4; ++i) {
      for (int j = 0; j < 4; ++j) grads[i][j] *= p.scale * scores.inverse_norm[j];
      Tile::store(i, grads[i], stored);
    }
    Tile::template add_weighted<false>(
        stored, p.rows(p.query, at, order, s, s_end, p.lengths.valid(at.n, p.length)),
        at.slice * kColumns, p.width, operands, sums);
  }
  TARN_UNROLL(4)
  for (int i = 0; i < 4; ++i) {
    const std::int64_t slot = slots.first + Tile::query(i);
    if (slot >= slots.end) continue;
    Tile::update(round == 0 ? beta : T(1), sums[i], grad_query.row(at.n, at.h, order[slot]),
                 at.slice * kColumns, p.width);
  }
}

// The gradients of a tile of values, and those of its keys handed on to the queries that they are
// of: with k = q / |q|, dq = (dk - (dk . k) k) / |q|. What looks at a chunk are its own queries and
// those of the next.
template <class T, int kColumns>
__global__ void lsh_grad_key_tile(LshBackwardProblem<T> p, Heads<T> grad_query, Heads<T> grad_value,
                                  T beta_value, std::int64_t round) {
  using Tile = LshTile<T, kColumns>;
  TARN_SHARED(typename Tile::Operands, operands);
  TARN_SHARED(typename Tile::Weights, stored);
  const AttentionBlock at(p.heads, p.tiles(),
                          quotient_up(std::max(p.width, p.out_width), kColumns));
  const LshSlots slots(p, at.tile);
  const std::int32_t* order = p.order_of(at, round);
  const std::int64_t column = at.slice * kColumns;
  T of_key[4][Tile::kEach] = {}, of_value[4][Tile::kEach] = {};
  T score_dot_grad[4] = {};  // dk . k
  for (std::int64_t l = slots.start; l < slots.next_end; l += kLshRows) {
    const std::int64_t l_end = std::min(l + kLshRows, slots.next_end);
    LshScores<T> scores;
    T grads[4][4];
    const std::uint32_t kept = p.template scores_and_gradients<Tile>(
        at, round, l, l_end, slots.first, slots.end, operands, scores, grads);
    p.template finish<Tile>(at, l, l_end, kept, scores, grads, score_dot_grad);
    TARN_UNROLL(4)
    for (int i = 0; i < 4; ++i) {
      for (int j = 0; j < 4; ++j) {
        scores.score[i][j] /= static_cast<T>(p.rounds);
        grads[i][j] *= p.scale;
      }
      Tile::store(i, scores.score[i], stored);
    }
    Tile::template add_weighted<true>(stored, p.rows(p.grad_out, at, order, l, l_end, p.length),
                                      column, p.out_width, operands, of_value);
    __syncthreads();  // the weights have been read
    TARN_UNROLL(4)
    for (int i = 0; i < 4; ++i) Tile::store(i, grads[i], stored);
    Tile::template add_weighted<true>(stored, p.rows(p.query, at, order, l, l_end, p.length),
                                      column, p.width, operands, of_key);
  }
  __syncthreads();
  Tile::store_row(Tile::y(), score_dot_grad, stored);
  __syncthreads();
  TARN_UNROLL(4)
  for (int i = 0; i < 4; ++i) {
    const std::int64_t slot = slots.first + 4 * Tile::y() + i;
    if (slot >= slots.end) continue;
    const std::int64_t l = order[slot];
    Tile::update(round == 0 ? beta_value : T(1), of_value[i], grad_value.row(at.n, at.h, l), column,
                 p.out_width);
    if (l >= p.lengths.valid(at.n, p.length)) continue;  // nobody saw it
    T dk_k = 0;
    for (int y = 0; y < Tile::kSide; ++y)
      dk_k += stored.at[y * Tile::kWeightStride + 4 * Tile::y() + i];
    const T inverse = p.inverse_norms[p.head(at) * p.length + l];
    const T* query = p.query.row(at.n, at.h, l);
    for (int c = 0; c < Tile::kEach; ++c) {
      const std::int64_t e = column + Tile::column(c);
      if (e < p.width) of_key[i][c] = inverse * (of_key[i][c] - dk_k * inverse * query[e]);
    }
    Tile::update(T(1), of_key[i], grad_query.row(at.n, at.h, l), column, p.width);
  }
}

// Fills inverse_norms.
template <class T>
void launch_inverse_norms(const Tensor& query, T* inverse_norms, std::int64_t rows) {
  TARN_LAUNCH((lsh_inverse_norms<T>), blocks_for(rows * 32), kThreads, 0, query.device(),
              Heads<const T>(query), inverse_norms, query.size(2), query.size(1), query.size(3),
              rows);
}

// Calls f(columns, blocks) with the columns of a tile and the blocks for results of this width.
template <class T, class F>
void with_lsh_blocks(const LshProblem<T>& problem, const Tensor& query, std::int64_t width,
                     const F& f) {
  with_tile_columns<T, 64>(width, [&](auto columns) {
    const std::int64_t slices = quotient_up(width, decltype(columns)::value);
    f(columns,
      dim3(static_cast<unsigned>(query.size(0) * query.size(2) * problem.tiles() * slices)));
  });
}

std::int64_t rows_of_heads(const Tensor& query) {
  return query.size(0) * query.size(1) * query.size(2);
}

std::int64_t lsh_attention_forward_scratch_bytes(const LshAttentionForwardArgs& args) {
  return rows_of_heads(args.query) * size_of(args.query.dtype());
}

void lsh_attention_forward(const LshAttentionForwardArgs& args, Scratch scratch) {
  if (args.out.elements() == 0) return;
  with_float_type(args.query.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch_inverse_norms(args.query, scratch.as<T>(), rows_of_heads(args.query));
    const LshProblem<T> problem(args, scratch.as<T>());
    with_lsh_blocks(problem, args.query, args.out.size(3), [&](auto columns, dim3 blocks) {
      constexpr int kColumns = decltype(columns)::value;
      for (std::int64_t round = 0; round < args.order.size(2); ++round) {
        TARN_LAUNCH((lsh_forward_tile<T, kColumns>), blocks, (LshTile<T, kColumns>::kBlock), 0,
                    args.out.device(), problem, Heads<T>(args.out), round);
      }
    });
  });
}

std::int64_t lsh_attention_backward_scratch_bytes(const LshAttentionBackwardArgs& args) {
  return 3 * rows_of_heads(args.query) * size_of(args.query.dtype());
}

void lsh_attention_backward(const LshAttentionBackwardArgs& args, Scratch scratch) {
  const std::int64_t rows = rows_of_heads(args.query);
  if (rows == 0) return;
  const Device device = args.query.device();
  const std::int64_t width = args.query.size(3), widest = std::max(width, args.value.size(3));
  with_float_type(args.query.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch_inverse_norms(args.query, scratch.as<T>(), rows);
    const LshBackwardProblem<T> problem(args, scratch.as<T>(), rows);
    const Heads<T> grad_query(args.grad_query), grad_value(args.grad_value);
    for (std::int64_t round = 0; round < args.order.size(2); ++round) {
      with_lsh_blocks<T>(problem, args.query, 1, [&](auto /*columns*/, dim3 blocks) {
        TARN_LAUNCH((lsh_statistics_tile<T>), blocks, (LshTile<T, 32>::kBlock), 0, device, problem,
                    round);
      });
      with_lsh_blocks<T>(problem, args.query, width, [&](auto columns, dim3 blocks) {
        constexpr int kColumns = decltype(columns)::value;
        TARN_LAUNCH((lsh_grad_query_tile<T, kColumns>), blocks, (LshTile<T, kColumns>::kBlock), 0,
                    device, problem, grad_query, static_cast<T>(args.beta_query), round);
      });
      with_lsh_blocks<T>(problem, args.query, widest, [&](auto columns, dim3 blocks) {
        constexpr int kColumns = decltype(columns)::value;
        TARN_LAUNCH((lsh_grad_key_tile<T, kColumns>), blocks, (LshTile<T, kColumns>::kBlock), 0,
                    device, problem, grad_query, grad_value, static_cast<T>(args.beta_value),
                    round);
      });
    }
  });
}

}  // namespace tarn::kernels::cuda
