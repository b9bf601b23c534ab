// What the passes of LSH attention on the device share: a chunk in the order of a round with the
// chunk before it, and the scores between them.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/cuda/attention_heads.h"
#include "kernels/cuda/attention_tile.h"
#include "kernels/cuda/gpu.h"
#include "kernels/lsh_attention.h"

namespace tarn::kernels::cuda {

constexpr int kLshRows = 32;  // the usual chunk
template <class T, int kColumns>
using LshTile = AttentionTile<T, kLshRows, kColumns>;

// Added to the score of a position's own key, so that its weight is 0 if the position sees any
// other key. It is finite, so that the weight is 1 if it sees no other.
constexpr double kOwnScore = -1e9;

// The rows of some slots of an order, null for positions from `limit` on.
template <class T>
struct SlotRows {
  const T* head;
  std::int64_t stride;
  const std::int32_t* order;
  std::int64_t count, limit;

  __device__ const T* operator()(int i) const {
    return i < count && order[i] < limit ? head + order[i] * stride : nullptr;
  }
};

// What a thread has of the scores between a tile of queries and a tile of keys.
template <class T>
struct LshScores {
  T score[4][4];  // [i][j]: of Tile::query(i) and Tile::key(j)
  bool seen[4][4], own[4][4];
  T inverse_norm[4];  // of the keys
};

template <class T>
struct LshProblem {
  AttentionHeads<const T> query, value;
  SequenceLengths lengths;
  const std::int32_t* orders;
  const T* inverse_norms;  // [N, H, L]: 1 / |query|, or 0
  std::int64_t heads, rounds, length, width, out_width, chunk, dropout_row;
  T scale;
  bool causal, masked;
  WeightDropout<T> dropout;

  template <class Args>
  LshProblem(const Args& a, const T* norms)
      : query(a.query),
        value(a.value),
        lengths(a.lengths, a.query.size(1)),
        orders(a.order.template data<std::int32_t>()),
        inverse_norms(norms),
        heads(a.query.size(2)),
        rounds(a.order.size(2)),
        length(a.query.size(1)),
        width(a.query.size(3)),
        out_width(a.value.size(3)),
        chunk(std::min(a.options.chunk, a.query.size(1))),
        dropout_row(2 * a.options.chunk),
        scale(static_cast<T>(a.options.scale)),
        causal(a.options.causal),
        masked(a.options.masked),
        dropout(a.options.address, a.options.dropout) {}

  __host__ __device__ std::int64_t tiles() const {  // of all chunks
    return pieces_of(length, chunk) * pieces_of(chunk, kLshRows);
  }
  __device__ std::int64_t head(const AttentionBlock& at) const { return at.n * heads + at.h; }
  __device__ const std::int32_t* order_of(const AttentionBlock& at, std::int64_t round) const {
    return orders + (head(at) * rounds + round) * length;
  }
  // The first slot that the query in a slot looks at.
  __device__ std::int64_t first_key(std::int64_t slot) const {
    const std::int64_t own = slot / chunk * chunk;
    return own > 0 ? own - chunk : 0;
  }
  // Rows of the slots [first, end) of a head of x.
  template <class Heads>
  __device__ auto rows(const Heads& x, const AttentionBlock& at, const std::int32_t* of_round,
                       std::int64_t first, std::int64_t end, std::int64_t limit) const {
    return SlotRows<T>{x.row(at.n, at.h, 0), x.l_stride, of_round + first, end - first, limit};
  }

  // Scores of the queries in slots [first, end) and the keys in slots [s, s_end).
  template <class Tile>
  __device__ void scores(const AttentionBlock& at, const std::int32_t* of_round, std::int64_t first,
                         std::int64_t end, std::int64_t s, std::int64_t s_end,
                         typename Tile::Operands& operands, LshScores<T>& to) const {
    const std::int64_t valid = lengths(at.n);
    Tile::multiply(rows(query, at, of_round, first, end, length),
                   rows(query, at, of_round, s, s_end, valid), width, operands, to.score);
    std::int64_t keys[4];
    TARN_UNROLL(4)
    for (int j = 0; j < 4; ++j) {
      const std::int64_t slot = s + Tile::key(j);
      keys[j] = slot < s_end ? of_round[slot] : length;
      to.inverse_norm[j] = keys[j] < valid ? inverse_norms[head(at) * length + keys[j]] : T(0);
    }
    TARN_UNROLL(4)
    for (int i = 0; i < 4; ++i) {
      const std::int64_t slot = first + Tile::query(i);
      const std::int64_t l = slot < end ? of_round[slot] : -1;
      TARN_UNROLL(4)
      for (int j = 0; j < 4; ++j) {
        to.seen[i][j] = l >= 0 && keys[j] < valid && (!causal || keys[j] <= l);
        to.own[i][j] = masked && keys[j] == l;
        to.score[i][j] *= scale * to.inverse_norm[j];
      }
    }
  }
  // The score that the softmax takes.
  static __device__ T demoted(T score, bool own) {
    return own ? score + static_cast<T>(kOwnScore) : score;
  }

  __device__ void factors(const AttentionBlock& at, std::int64_t round, std::int64_t slot,
                          std::int64_t key_slot, T (&factors)[4]) const {
    const std::int64_t row = (head(at) * rounds + round) * length + slot;
    dropout.factors(row * dropout_row + key_slot - first_key(slot), factors);
  }
};

template <class T>
struct LshBackwardProblem : LshProblem<T> {
  AttentionHeads<const T> grad_out;
  // [N, H, L], of the queries by their slots: the logarithms of the sums of the round's softmax,
  // and the sums over keys of weight times gradient of the weight.
  T *log_sum_exp, *delta;

  LshBackwardProblem(const LshAttentionBackwardArgs& a, T* scratch, std::int64_t rows)
      : LshProblem<T>(a, scratch),
        grad_out(a.grad_out),
        log_sum_exp(scratch + rows),
        delta(scratch + 2 * rows) {}

  // Scores as above, and the gradients of the weights, dropout included.
  template <class Tile>
  __device__ void scores_and_gradients(const AttentionBlock& at, std::int64_t round,
                                       std::int64_t first, std::int64_t end, std::int64_t s,
                                       std::int64_t s_end, typename Tile::Operands& operands,
                                       LshScores<T>& scores, T (&grads)[4][4],
                                       T (&factors)[4][4]) const {
    const std::int32_t* order = this->order_of(at, round);
    this->template scores<Tile>(at, order, first, end, s, s_end, operands, scores);
    Tile::multiply(this->rows(grad_out, at, order, first, end, this->length),
                   this->rows(this->value, at, order, s, s_end, this->lengths(at.n)),
                   this->out_width, operands, grads);
    TARN_UNROLL(4)
    for (int i = 0; i < 4; ++i) {
      this->factors(at, round, first + Tile::query(i), s + Tile::key(0), factors[i]);
      for (int j = 0; j < 4; ++j) grads[i][j] *= factors[i][j] / static_cast<T>(this->rounds);
    }
  }

  // With p = exp(score - log_sum_exp): weights = p * factor, and grads those of the scores.
  template <class Tile>
  __device__ void finish(const AttentionBlock& at, std::int64_t first, std::int64_t end,
                         const LshScores<T>& scores, const T (&factors)[4][4], T (&weights)[4][4],
                         T (&grads)[4][4]) const {
    TARN_UNROLL(4)
    for (int i = 0; i < 4; ++i) {
      const std::int64_t slot = first + Tile::query(i);
      const std::int64_t row = this->head(at) * this->length + slot;
      const T shift = slot < end ? log_sum_exp[row] : T(0), mean = slot < end ? delta[row] : T(0);
      TARN_UNROLL(4)
      for (int j = 0; j < 4; ++j) {
        const bool seen = scores.seen[i][j];
        const T score = this->demoted(scores.score[i][j], scores.own[i][j]);
        const T p = seen ? std::exp(score - shift) : T(0);
        weights[i][j] = seen ? p * factors[i][j] : T(0);
        grads[i][j] = seen ? p * (grads[i][j] - mean) : T(0);
      }
    }
  }
};

// A tile of one chunk: its slots [first, end), and where the chunk, the keys that it looks at and
// the queries that look at it begin and end.
struct LshSlots {
  std::int64_t first, end, first_key, start, chunk_end, next_end;

  template <class T>
  __device__ LshSlots(const LshProblem<T>& p, std::int64_t tile) {
    const std::int64_t tiles = pieces_of(p.chunk, kLshRows);
    start = tile / tiles * p.chunk;
    chunk_end = std::min(start + p.chunk, p.length);
    next_end = std::min(start + 2 * p.chunk, p.length);
    first = start + tile % tiles * kLshRows;
    end = std::min(first + kLshRows, chunk_end);  // before `first`, if a short chunk lacks the tile
    first_key = p.first_key(start);
  }
};

}  // namespace tarn::kernels::cuda
