// What the passes of LSH attention on the device share: a chunk in the order of a round with the
// chunk before it, and the scores between them.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include "kernels/cuda/attention_block.h"
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
  T inverse_norm[4];
  // Positions: of a key, kNobody if no query sees it; the last that a query sees; that which it
  // sees only if it sees no other.
  static constexpr std::int32_t kNobody = std::numeric_limits<std::int32_t>::max();
  std::int32_t key[4], limit[4], own[4];

  __device__ bool seen(int i, int j) const { return key[j] <= limit[i]; }
  // The score that the softmax takes.
  __device__ T demoted(int i, int j) const {
    return key[j] == own[i] ? score[i][j] + static_cast<T>(kOwnScore) : score[i][j];
  }
  // exp(score - max) of row i, and what the row's sums so far must be multiplied by.
  template <class Tile>
  __device__ T add_to(OnlineSoftmax<Tile, T>& softmax, int i, T (&row)[4]) const {
    bool row_seen[4];
    for (int j = 0; j < 4; ++j) {
      row[j] = demoted(i, j);
      row_seen[j] = seen(i, j);
    }
    return softmax.add(row, row_seen);
  }
};

template <class T>
struct LshProblem {
  Heads<const T> query, value;
  Lengths lengths;
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
        lengths(a.lengths),
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
    return quotient_up(length, chunk) * quotient_up(chunk, kLshRows);
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
  __device__ SlotRows<T> rows(const Heads<const T>& x, const AttentionBlock& at,
                              const std::int32_t* of_round, std::int64_t first, std::int64_t end,
                              std::int64_t limit) const {
    return {x.row(at.n, at.h, 0), x.position, of_round + first, end - first, limit};
  }

  // Scores of the queries in slots [first, end) and the keys in slots [s, s_end).
  template <class Tile>
  __device__ void scores(const AttentionBlock& at, const std::int32_t* of_round, std::int64_t first,
                         std::int64_t end, std::int64_t s, std::int64_t s_end,
                         typename Tile::Operands& operands, LshScores<T>& to) const {
    const std::int64_t valid = lengths.valid(at.n, length);
    Tile::multiply(rows(query, at, of_round, first, end, length),
                   rows(query, at, of_round, s, s_end, valid), width, operands, to.score);
    TARN_UNROLL(4)
    for (int j = 0; j < 4; ++j) {
      const std::int64_t slot = s + Tile::key(j);
      const std::int32_t key = slot < s_end ? of_round[slot] : LshScores<T>::kNobody;
      to.key[j] = key < valid ? key : LshScores<T>::kNobody;
      to.inverse_norm[j] = key < valid ? inverse_norms[head(at) * length + key] : T(0);
    }
    TARN_UNROLL(4)
    for (int i = 0; i < 4; ++i) {
      const std::int64_t slot = first + Tile::query(i);
      const std::int32_t l = slot < end ? of_round[slot] : -1;
      to.limit[i] = causal || l < 0 ? l : LshScores<T>::kNobody - 1;
      to.own[i] = masked ? l : -1;
      for (int j = 0; j < 4; ++j) to.score[i][j] *= scale * to.inverse_norm[j];
    }
  }

  // Which weights of the queries in slots from `first` on and the keys from s on are kept.
  template <class Tile>
  __device__ std::uint32_t kept(const AttentionBlock& at, std::int64_t round, std::int64_t first,
                                std::int64_t s) const {
    const std::int64_t row = (head(at) * rounds + round) * length;
    return dropout.kept([&](int i) {
      const std::int64_t slot = first + Tile::query(i);
      return (row + slot) * dropout_row + s + Tile::key(0) - first_key(slot);
    });
  }
};

template <class T>
struct LshBackwardProblem : LshProblem<T> {
  Heads<const T> grad_out;
  // [N, H, L], of the queries by their slots: the logarithms of the sums of the round's softmax,
  // and the sums over keys of weight times gradient of the weight.
  T *log_sum_exp, *delta;

  LshBackwardProblem(const LshAttentionBackwardArgs& a, T* scratch, std::int64_t rows)
      : LshProblem<T>(a, scratch),
        grad_out(a.grad_out),
        log_sum_exp(scratch + rows),
        delta(scratch + 2 * rows) {}

  // Scores as above, the gradients of the weights, dropout included, and which are kept.
  template <class Tile>
  __device__ std::uint32_t scores_and_gradients(const AttentionBlock& at, std::int64_t round,
                                                std::int64_t first, std::int64_t end,
                                                std::int64_t s, std::int64_t s_end,
                                                typename Tile::Operands& operands,
                                                LshScores<T>& scores, T (&grads)[4][4]) const {
    const std::int32_t* of_round = this->order_of(at, round);
    const std::uint32_t kept = this->template kept<Tile>(at, round, first, s);
    Tile::multiply(
        this->rows(grad_out, at, of_round, first, end, this->length),
        this->rows(this->value, at, of_round, s, s_end, this->lengths.valid(at.n, this->length)),
        this->out_width, operands, grads);
    this->template scores<Tile>(at, of_round, first, end, s, s_end, operands, scores);
    TARN_UNROLL(4)
    for (int i = 0; i < 4; ++i) {
      TARN_UNROLL(4)
      for (int j = 0; j < 4; ++j) {
        grads[i][j] *= this->dropout.factor(kept, i, j) / static_cast<T>(this->rounds);
      }
    }
    return kept;
  }

  // With p = exp(score - log_sum_exp): the scores become weights, p * factor, and grads become
  // theirs. score_dot_grad[j] += the sum over queries of a score times its gradient.
  template <class Tile>
  __device__ void finish(const AttentionBlock& at, std::int64_t first, std::int64_t end,
                         std::uint32_t kept, LshScores<T>& scores, T (&grads)[4][4],
                         T (&score_dot_grad)[4]) const {
    TARN_UNROLL(4)
    for (int i = 0; i < 4; ++i) {
      const std::int64_t slot = first + Tile::query(i);
      const std::int64_t row = this->head(at) * this->length + slot;
      const T shift = slot < end ? log_sum_exp[row] : T(0), mean = slot < end ? delta[row] : T(0);
      TARN_UNROLL(4)
      for (int j = 0; j < 4; ++j) {
        const bool seen = scores.seen(i, j);
        T& score = scores.score[i][j];
        const T p = seen ? std::exp(scores.demoted(i, j) - shift) : T(0);
        grads[i][j] = seen ? p * (grads[i][j] - mean) : T(0);
        score_dot_grad[j] += seen ? grads[i][j] * score : T(0);
        score = seen ? p * this->dropout.factor(kept, i, j) : T(0);
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
    const std::int64_t tiles = quotient_up(p.chunk, kLshRows);
    start = tile / tiles * p.chunk;
    chunk_end = std::min(start + p.chunk, p.length);
    next_end = std::min(start + 2 * p.chunk, p.length);
    first = start + tile % tiles * kLshRows;
    end = std::min(first + kLshRows, chunk_end);  // before `first`, if a short chunk lacks the tile
    first_key = p.first_key(start);
  }
};

}  // namespace tarn::kernels::cuda
