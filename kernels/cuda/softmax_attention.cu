// Softmax attention by tiles (Dao et al., "FlashAttention", 2022). The backward computes the
// weights again from log_sum_exp, once in blocks that own queries and once in blocks that own
// keys, so that every gradient is summed by one thread in a fixed order.
#include <type_traits>

#include "kernels/cuda/attention_block.h"
#include "kernels/cuda/attention_tile.h"
#include "kernels/cuda/gpu.h"
#include "kernels/dtype_switch.h"
#include "kernels/softmax_attention.h"
#include "kernels/table.h"

namespace tarn::kernels::cuda {

template <class T, int kColumns>
using SoftmaxTile = AttentionTile<T, sizeof(T) == 4 ? 64 : 32, kColumns>;
template <class T>
constexpr int kSoftmaxRows = sizeof(T) == 4 ? 64 : 32;

template <class T>
struct SoftmaxProblem {
  Heads<const T> query, key, value;
  Lengths lengths;
  std::int64_t heads, queries, keys, width, out_width;
  T scale;
  std::int64_t ahead;  // query l sees keys s < l + ahead
  WeightDropout<T> dropout;

  template <class Args>
  explicit SoftmaxProblem(const Args& a)
      : query(a.query),
        key(a.key),
        value(a.value),
        lengths(a.lengths),
        heads(a.query.size(2)),
        queries(a.query.size(1)),
        keys(a.key.size(1)),
        width(a.query.size(3)),
        out_width(a.value.size(3)),
        scale(static_cast<T>(a.scale)),
        ahead(a.key.size(1) - (a.causal ? a.query.size(1) - 1 : 0)),
        dropout(a.address, a.dropout) {}

  // How many keys, from the first on, a query sees.
  __device__ std::int64_t visible(std::int64_t n, std::int64_t l) const {
    return l < queries ? clamped(l + ahead, lengths.valid(n, keys)) : 0;
  }
  template <class Tile>
  __device__ std::uint32_t kept(const AttentionBlock& at, std::int64_t l, std::int64_t s) const {
    const std::int64_t first = ((at.n * heads + at.h) * queries + l) * keys + s + Tile::key(0);
    return dropout.kept([&](int i) { return first + Tile::query(i) * keys; });
  }
};

// A tensor [N, H, L] with the last dimension contiguous.
template <class T>
struct QueryNumbers {
  T* data;
  std::int64_t n_stride, h_stride;

  explicit QueryNumbers(const Tensor& x)
      : data(x.mutable_data<T>()), n_stride(x.strides()[0]), h_stride(x.strides()[1]) {}
  __device__ T* of(const AttentionBlock& at) const {
    return data + at.n * n_stride + at.h * h_stride;
  }
};

template <class T, int kColumns>
__global__ void softmax_forward_tile(SoftmaxProblem<T> p, Heads<T> out,
                                     QueryNumbers<T> log_sum_exp) {
  using Tile = SoftmaxTile<T, kColumns>;
  constexpr int kRows = kSoftmaxRows<T>;
  TARN_SHARED(typename Tile::Operands, operands);
  TARN_SHARED(typename Tile::Weights, weights);
  const AttentionBlock at(p.heads, quotient_up(p.queries, kRows),
                          std::max<std::int64_t>(1, quotient_up(p.out_width, kColumns)));
  const std::int64_t first = at.tile * kRows, end = std::min(first + kRows, p.queries);
  const std::int64_t keys_end = p.visible(at.n, end - 1);
  const auto queries = p.query.rows(at.n, at.h, first, end);
  OnlineSoftmax<Tile, T> softmax[4];
  T sums[4][Tile::kEach] = {};
  for (std::int64_t s = 0; s < keys_end; s += kRows) {
    const std::uint32_t kept = p.template kept<Tile>(at, first, s);
    T scores[4][4];
    Tile::multiply(queries, p.key.rows(at.n, at.h, s, keys_end), p.width, operands, scores);
    TARN_UNROLL(4)
    for (int i = 0; i < 4; ++i) {
      const std::int64_t l = first + Tile::query(i);
      const std::int64_t visible = p.visible(at.n, l);
      bool seen[4];
      for (int j = 0; j < 4; ++j) {
        seen[j] = s + Tile::key(j) < visible;
        scores[i][j] *= p.scale;
      }
      const T rescale = softmax[i].add(scores[i], seen);
      for (T& sum : sums[i]) sum *= rescale;
      for (int j = 0; j < 4; ++j) scores[i][j] *= p.dropout.factor(kept, i, j);
      Tile::store(i, scores[i], weights);
    }
    Tile::template add_weighted<false>(weights, p.value.rows(at.n, at.h, s, keys_end),
                                       at.slice * kColumns, p.out_width, operands, sums);
  }
  TARN_UNROLL(4)
  for (int i = 0; i < 4; ++i) {
    const std::int64_t l = first + Tile::query(i);
    if (l >= end) continue;
    if (at.slice == 0 && Tile::x() == 0) log_sum_exp.of(at)[l] = softmax[i].log_sum_exp();
    for (T& sum : sums[i]) sum *= softmax[i].share();
    Tile::update(T(0), sums[i], out.row(at.n, at.h, l), at.slice * kColumns, p.out_width);
  }
}

// delta[n, h, l] = grad_out . out, which is the sum over keys of weight times gradient of the
// weight. A warp takes a row.
template <class T>
__global__ void softmax_delta(Heads<const T> out, Heads<const T> grad_out, T* delta,
                              std::int64_t heads, std::int64_t queries, std::int64_t width,
                              std::int64_t n) {
  const int lane = static_cast<int>(threadIdx.x) % warpSize;
  for (std::int64_t i = first_element() / warpSize; i < n; i += all_threads() / warpSize) {
    const std::int64_t l = i % queries, h = i / queries % heads, sequence = i / queries / heads;
    const T *y = out.row(sequence, h, l), *g = grad_out.row(sequence, h, l);
    T sum = 0;
    for (std::int64_t m = lane; m < width; m += warpSize) sum += g[m] * y[m];
    for (int step = warpSize / 2; step > 0; step /= 2) sum += __shfl_xor_sync(~0U, sum, step);
    if (lane == 0) delta[i] = sum;
  }
}

// What both blocks of the backward read.
template <class T>
struct SoftmaxBackwardProblem : SoftmaxProblem<T> {
  Heads<const T> grad_out;
  QueryNumbers<T> log_sum_exp;
  const T* delta;  // [N, H, L]

  SoftmaxBackwardProblem(const SoftmaxAttentionBackwardArgs& a, const T* delta_)
      : SoftmaxProblem<T>(a), grad_out(a.grad_out), log_sum_exp(a.log_sum_exp), delta(delta_) {}

  // The weights of queries [l, l_end) and keys [s, s_end), dropout included, and the gradients of
  // query . key: with p = exp(score - log_sum_exp) and factors 0 or 1 / (1 - dropout), p * factor
  // and scale * p * (factor * grad_out . value - delta).
  template <class Tile>
  __device__ void gradients(const AttentionBlock& at, std::int64_t l, std::int64_t l_end,
                            std::int64_t s, std::int64_t s_end, typename Tile::Operands& operands,
                            T (&weights)[4][4], T (&grads)[4][4]) const {
    const std::uint32_t kept = this->template kept<Tile>(at, l, s);
    Tile::multiply(this->query.rows(at.n, at.h, l, l_end), this->key.rows(at.n, at.h, s, s_end),
                   this->width, operands, weights);
    Tile::multiply(grad_out.rows(at.n, at.h, l, l_end), this->value.rows(at.n, at.h, s, s_end),
                   this->out_width, operands, grads);
    TARN_UNROLL(4)
    for (int i = 0; i < 4; ++i) {
      const std::int64_t row = l + Tile::query(i);
      const std::int64_t visible = this->visible(at.n, row);
      const bool any = s < visible;
      const T shift = any ? log_sum_exp.of(at)[row] : T(0);
      const T mean = any ? delta[(at.n * this->heads + at.h) * this->queries + row] : T(0);
      for (int j = 0; j < 4; ++j) {
        const bool seen = s + Tile::key(j) < visible;
        const T factor = this->dropout.factor(kept, i, j);
        const T p = seen ? std::exp(this->scale * weights[i][j] - shift) : T(0);
        weights[i][j] = seen ? p * factor : T(0);
        grads[i][j] = seen ? this->scale * (p * (factor * grads[i][j] - mean)) : T(0);
      }
    }
  }
};

template <class T, int kColumns>
__global__ void softmax_grad_query_tile(SoftmaxBackwardProblem<T> p, Heads<T> grad_query, T beta) {
  using Tile = SoftmaxTile<T, kColumns>;
  constexpr int kRows = kSoftmaxRows<T>;
  TARN_SHARED(typename Tile::Operands, operands);
  TARN_SHARED(typename Tile::Weights, stored);
  const AttentionBlock at(p.heads, quotient_up(p.queries, kRows), quotient_up(p.width, kColumns));
  const std::int64_t first = at.tile * kRows, end = std::min(first + kRows, p.queries);
  const std::int64_t keys_end = p.visible(at.n, end - 1);
  T sums[4][Tile::kEach] = {};
  for (std::int64_t s = 0; s < keys_end; s += kRows) {
    T weights[4][4], grads[4][4];
    p.template gradients<Tile>(at, first, end, s, keys_end, operands, weights, grads);
    TARN_UNROLL(4)
    for (int i = 0; i < 4; ++i) Tile::store(i, grads[i], stored);
    Tile::template add_weighted<false>(stored, p.key.rows(at.n, at.h, s, keys_end),
                                       at.slice * kColumns, p.width, operands, sums);
  }
  TARN_UNROLL(4)
  for (int i = 0; i < 4; ++i) {
    const std::int64_t l = first + Tile::query(i);
    if (l >= end) continue;
    Tile::update(beta, sums[i], grad_query.row(at.n, at.h, l), at.slice * kColumns, p.width);
  }
}

template <class T, int kColumns>
__global__ void softmax_grad_key_tile(SoftmaxBackwardProblem<T> p, Heads<T> grad_key,
                                      Heads<T> grad_value, T beta_key, T beta_value) {
  using Tile = SoftmaxTile<T, kColumns>;
  constexpr int kRows = kSoftmaxRows<T>;
  TARN_SHARED(typename Tile::Operands, operands);
  TARN_SHARED(typename Tile::Weights, stored);
  const AttentionBlock at(p.heads, quotient_up(p.keys, kRows),
                          quotient_up(std::max(p.width, p.out_width), kColumns));
  const std::int64_t s = at.tile * kRows, column = at.slice * kColumns;
  T of_key[4][Tile::kEach] = {}, of_value[4][Tile::kEach] = {};
  for (std::int64_t l = 0; l < p.queries; l += kRows) {
    const std::int64_t l_end = std::min(l + kRows, p.queries);
    const std::int64_t keys_end = p.visible(at.n, l_end - 1);
    if (keys_end <= s) continue;
    T weights[4][4], grads[4][4];
    p.template gradients<Tile>(at, l, l_end, s, keys_end, operands, weights, grads);
    TARN_UNROLL(4)
    for (int i = 0; i < 4; ++i) Tile::store(i, weights[i], stored);
    Tile::template add_weighted<true>(stored, p.grad_out.rows(at.n, at.h, l, l_end), column,
                                      p.out_width, operands, of_value);
    __syncthreads();  // the weights have been read
    TARN_UNROLL(4)
    for (int i = 0; i < 4; ++i) Tile::store(i, grads[i], stored);
    Tile::template add_weighted<true>(stored, p.query.rows(at.n, at.h, l, l_end), column, p.width,
                                      operands, of_key);
  }
  TARN_UNROLL(4)
  for (int i = 0; i < 4; ++i) {
    const std::int64_t key = s + 4 * Tile::y() + i;
    if (key >= p.keys) continue;
    Tile::update(beta_key, of_key[i], grad_key.row(at.n, at.h, key), column, p.width);
    Tile::update(beta_value, of_value[i], grad_value.row(at.n, at.h, key), column, p.out_width);
  }
}

void softmax_attention_forward(const SoftmaxAttentionForwardArgs& args, Scratch /*none*/) {
  if (args.log_sum_exp.elements() == 0) return;
  with_float_type(args.query.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const std::int64_t width = args.out.size(3);
    with_tile_columns<T, 128>(width, [&](auto columns) {
      constexpr int kColumns = decltype(columns)::value;
      const std::int64_t slices = std::max<std::int64_t>(1, quotient_up(width, kColumns));
      TARN_LAUNCH((softmax_forward_tile<T, kColumns>),
                  blocks_of_heads(args.query, kSoftmaxRows<T>, slices),
                  (SoftmaxTile<T, kColumns>::kBlock), 0, args.out.device(), SoftmaxProblem<T>(args),
                  Heads<T>(args.out), QueryNumbers<T>(args.log_sum_exp));
    });
  });
}

std::int64_t softmax_attention_backward_scratch_bytes(const SoftmaxAttentionBackwardArgs& args) {
  return args.log_sum_exp.elements() * size_of(args.log_sum_exp.dtype());
}

void softmax_attention_backward(const SoftmaxAttentionBackwardArgs& args, Scratch scratch) {
  with_float_type(args.query.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const Device device = args.query.device();
    const std::int64_t width = args.query.size(3), out_width = args.value.size(3);
    const std::int64_t rows = args.log_sum_exp.elements();
    auto* delta = scratch.as<T>();
    if (rows > 0) {
      TARN_LAUNCH((softmax_delta<T>), blocks_for(rows * 32), kThreads, 0, device,
                  Heads<const T>(args.out), Heads<const T>(args.grad_out), delta,
                  args.query.size(2), args.query.size(1), out_width, rows);
    }
    const SoftmaxBackwardProblem<T> problem(args, delta);
    if (args.grad_query.elements() > 0) {
      with_tile_columns<T, 128>(width, [&](auto columns) {
        constexpr int kColumns = decltype(columns)::value;
        TARN_LAUNCH((softmax_grad_query_tile<T, kColumns>),
                    blocks_of_heads(args.query, kSoftmaxRows<T>, quotient_up(width, kColumns)),
                    (SoftmaxTile<T, kColumns>::kBlock), 0, device, problem,
                    Heads<T>(args.grad_query), static_cast<T>(args.beta_query));
      });
    }
    const std::int64_t widest = std::max(width, out_width);
    if (args.key.size(0) * args.key.size(1) * args.key.size(2) * widest == 0) return;
    with_tile_columns<T, 128>(widest, [&](auto columns) {
      constexpr int kColumns = decltype(columns)::value;
      TARN_LAUNCH((softmax_grad_key_tile<T, kColumns>),
                  blocks_of_heads(args.key, kSoftmaxRows<T>, quotient_up(widest, kColumns)),
                  (SoftmaxTile<T, kColumns>::kBlock), 0, device, problem, Heads<T>(args.grad_key),
                  Heads<T>(args.grad_value), static_cast<T>(args.beta_key),
                  static_cast<T>(args.beta_value));
    });
  });
}

}  // namespace tarn::kernels::cuda
