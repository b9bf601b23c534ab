// Softmax attention by tiles of 64 queries and 64 keys, the softmax computed online (Milakov and
// Gimelshein, 2018; Dao et al., "FlashAttention", 2022): products by BLAS on the heads where they
// lie, the rest in vectors over a tile of scores that stays in the first-level cache.
#include "kernels/softmax_attention.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "kernels/cpu/blas.h"
#include "kernels/cpu/heads.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/rows.h"
#include "kernels/cpu/scratch.h"
#include "kernels/dtype_switch.h"
#include "kernels/table.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/softmax_attention.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// After highway.h, each is compiled once for a target.
#include "kernels/cpu/exp-inl.h"
#include "kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tarn::kernels::cpu::HWY_NAMESPACE {
namespace {  // other kernels have a Backward of their own

constexpr std::int64_t kTile = 64;  // rows and columns of a tile of scores, and its row stride
template <class T>
constexpr T kInfinity = std::numeric_limits<T>::infinity();

// How many keys, from the first on, a query of sequence n may see.
struct Visible {
  template <class Args>
  Visible(const Args& a, std::int64_t n)
      : length(valid_length(a.lengths, n, a.key.size(1))),
        ahead(a.key.size(1) - (a.causal ? a.query.size(1) - 1 : 0)) {}
  std::int64_t operator()(std::int64_t l) const {
    return std::clamp<std::int64_t>(l + ahead, 0, length);
  }

  std::int64_t length, ahead;
};

template <class T>
HWY_INLINE void scale_row(T factor, T* row, std::int64_t n) {
  for_vectors<T>(n, [&](auto d, std::int64_t i) HWY_ATTR {
    hn::StoreU(hn::Mul(hn::Set(d, factor), hn::LoadU(d, row + i)), d, row + i);
  });
}

// row = beta * row + add. The old row is not read if beta is 0.
template <class T>
HWY_INLINE void update_row(T beta, const T* add, T* row, std::int64_t n) {
  if (beta == 0) {
    std::copy(add, add + n, row);
    return;
  }
  for_vectors<T>(n, [&](auto d, std::int64_t i) HWY_ATTR {
    const auto old = hn::LoadU(d, row + i);
    hn::StoreU(hn::MulAdd(hn::Set(d, beta), old, hn::LoadU(d, add + i)), d, row + i);
  });
}

// Turns the scores row[0, allowed) into exp(score - max) and row[allowed, keys) into 0, with max
// and sum brought up to date. Returns what the output so far must be multiplied by.
template <class T>
HWY_INLINE T online_softmax(T* row, std::int64_t allowed, std::int64_t keys, T& max, T& sum) {
  if (allowed == 0) {
    std::fill(row, row + keys, T{0});
    return 1;
  }
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const std::int64_t width = whole_vectors(d, allowed);
  std::fill(row + allowed, row + width, -kInfinity<T>);
  auto largest = hn::Set(d, max);
  for (std::int64_t i = 0; i < width; i += lanes) {
    largest = hn::Max(largest, hn::Load(d, row + i));
  }
  largest = hn::MaxOfLanes(d, largest);
  auto total = hn::Zero(d);
  for (std::int64_t i = 0; i < width; i += lanes) {
    const auto weight = exp_or_nan(d, hn::Sub(hn::Load(d, row + i), largest));
    hn::Store(weight, d, row + i);
    total = hn::Add(total, weight);
  }
  if (width < keys) std::fill(row + width, row + keys, T{0});
  const T new_max = hn::GetLane(largest);
  const T rescale = max == new_max ? T{1} : std::exp(max - new_max);
  sum = sum * rescale + hn::GetLane(hn::SumOfLanes(d, total));
  max = new_max;
  return rescale;
}

template <class T>
void forward(const SoftmaxAttentionForwardArgs& a, std::int64_t n, std::int64_t h,
             std::int64_t first) {
  const Head<T> query(a.query, n, h), key(a.key, n, h), value(a.value, n, h), out(a.out, n, h);
  const std::int64_t queries = a.query.size(1), width = a.query.size(3), out_width = a.out.size(3);
  const std::int64_t rows = std::min(kTile, queries - first);
  const Visible visible(a, n);
  const std::int64_t keys_end = visible(first + rows - 1);
  const std::uint32_t threshold = random_threshold(a.dropout);
  const std::int64_t first_element =
      ((n * a.query.size(2) + h) * queries + first) * a.key.size(1);  // of the dropout's stream

  T* scores = thread_scratch<T>(kTile * kTile + 2 * kTile);
  T* max = scores + kTile * kTile;
  T* sum = max + kTile;
  std::fill(max, max + rows, -kInfinity<T>);
  std::fill(sum, sum + rows, T{0});
  for (std::int64_t s = 0; s < keys_end; s += kTile) {
    const std::int64_t keys = std::min(kTile, keys_end - s);
    blas_gemm(false, true, rows, keys, width, static_cast<T>(a.scale), query.row(first),
              query.stride, key.row(s), key.stride, T{0}, scores, kTile);
    for (std::int64_t r = 0; r < rows; ++r) {
      T* row = scores + r * kTile;
      const std::int64_t allowed = std::clamp<std::int64_t>(visible(first + r) - s, 0, keys);
      const T rescale = online_softmax(row, allowed, keys, max[r], sum[r]);
      if (s > 0 && rescale != 1) scale_row(rescale, out.row(first + r), out_width);
      if (a.dropout > 0) {
        dropout_row(a.address, first_element + r * a.key.size(1) + s, keys, threshold,
                    static_cast<T>(1 / (1 - a.dropout)), row);
      }
    }
    blas_gemm(false, false, rows, out_width, keys, T{1}, scores, kTile, value.row(s), value.stride,
              s > 0 ? T{1} : T{0}, out.row(first), out.stride);
  }

  T* log_sum_exp = a.log_sum_exp.mutable_data<T>() + n * a.log_sum_exp.strides()[0] +
                   h * a.log_sum_exp.strides()[1] + first;
  for (std::int64_t r = 0; r < rows; ++r) {
    T* row = out.row(first + r);
    if (sum[r] == 0) {  // the query sees no key
      std::fill(row, row + out_width, T{0});
      log_sum_exp[r] = kInfinity<T>;
    } else {
      scale_row(1 / sum[r], row, out_width);
      log_sum_exp[r] = max[r] + std::log(sum[r]);
    }
  }
}

// Turns a row of scores into weights, dropout included, and the gradient of the weights into that
// of the scores: with p = exp(score - log_sum_exp) and factors 0 or 1 / (1 - dropout), p * factor
// and p * (factor * grad - delta), where delta = grad_out . out is the sum over s of both.
template <class T>
HWY_INLINE void softmax_backward(T* HWY_RESTRICT row, T* HWY_RESTRICT grad,
                                 const T* HWY_RESTRICT factors, std::int64_t allowed,
                                 std::int64_t keys, T log_sum_exp, T delta) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto shift = hn::Set(d, log_sum_exp);
  const auto mean = hn::Set(d, delta);
  for (std::int64_t i = 0; i < allowed; i += lanes) {
    const auto factor = hn::Load(d, factors + i);
    const auto p = exp_or_nan(d, hn::Sub(hn::Load(d, row + i), shift));
    hn::Store(hn::Mul(p, factor), d, row + i);
    hn::Store(hn::Mul(p, hn::MulSub(factor, hn::Load(d, grad + i), mean)), d, grad + i);
  }
  if (allowed < keys) {  // the last vector may have written past them, too
    std::fill(row + allowed, row + keys, T{0});
    std::fill(grad + allowed, grad + keys, T{0});
  }
}

// The gradients of one head of one sequence.
template <class T>
class Backward {
 public:
  Backward(const SoftmaxAttentionBackwardArgs& args, std::int64_t n, std::int64_t h)
      : a_(args),
        query_(args.query, n, h),
        key_(args.key, n, h),
        value_(args.value, n, h),
        out_(args.out, n, h),
        grad_out_(args.grad_out, n, h),
        grad_query_(args.grad_query, n, h),
        grad_key_(args.grad_key, n, h),
        grad_value_(args.grad_value, n, h),
        visible_(args, n),
        log_sum_exp_(args.log_sum_exp.data<T>() + n * args.log_sum_exp.strides()[0] +
                     h * args.log_sum_exp.strides()[1]),
        first_element_((n * args.query.size(2) + h) * queries_ * all_keys_) {
    weights_ =
        thread_scratch<T>(2 * kTile * kTile + kTile + kTile * (width_ + out_width_) + queries_);
    grad_scores_ = weights_ + kTile * kTile;
    factors_ = grad_scores_ + kTile * kTile;
    key_sum_ = factors_ + kTile;
    value_sum_ = key_sum_ + kTile * width_;
    delta_ = value_sum_ + kTile * out_width_;
  }

  void run() {
    for (std::int64_t l = 0; l < queries_; ++l) {
      delta_[l] = dot(grad_out_.row(l), out_.row(l), out_width_);
    }
    std::fill(factors_, factors_ + kTile, T{1});  // dropout, if there is any, writes others
    for (std::int64_t s = 0; s < all_keys_; s += kTile) key_tile(s);
    // A query that sees any key sees the first, so these were not met above.
    std::fill(key_sum_, key_sum_ + width_, T{0});
    for (std::int64_t l = 0; l < queries_ && last_visible(l) == 0; l += kTile) {
      for (std::int64_t r = l; r < std::min(l + kTile, queries_); ++r) {
        update_row(static_cast<T>(a_.beta_query), key_sum_, grad_query_.row(r), width_);
      }
    }
  }

 private:
  // How many keys the last query of the tile that begins at l sees.
  std::int64_t last_visible(std::int64_t l) const {
    return visible_(std::min(l + kTile, queries_) - 1);
  }

  void key_tile(std::int64_t s) {
    std::fill(key_sum_, value_sum_ + kTile * out_width_, T{0});
    for (std::int64_t l = 0; l < queries_; l += kTile) {
      const std::int64_t keys = std::min(kTile, last_visible(l) - s);
      if (keys > 0) tile_pair(l, s, std::min(kTile, queries_ - l), keys);
    }
    for (std::int64_t r = 0; r < std::min(kTile, all_keys_ - s); ++r) {
      update_row(static_cast<T>(a_.beta_key), key_sum_ + r * width_, grad_key_.row(s + r), width_);
      update_row(static_cast<T>(a_.beta_value), value_sum_ + r * out_width_, grad_value_.row(s + r),
                 out_width_);
    }
  }

  void tile_pair(std::int64_t l, std::int64_t s, std::int64_t rows, std::int64_t keys) {
    const auto scale = static_cast<T>(a_.scale);
    blas_gemm(false, true, rows, keys, width_, scale, query_.row(l), query_.stride, key_.row(s),
              key_.stride, T{0}, weights_, kTile);
    blas_gemm(false, true, rows, keys, out_width_, T{1}, grad_out_.row(l), grad_out_.stride,
              value_.row(s), value_.stride, T{0}, grad_scores_, kTile);
    const std::uint32_t threshold = random_threshold(a_.dropout);
    for (std::int64_t r = 0; r < rows; ++r) {
      if (a_.dropout > 0) {
        std::fill(factors_, factors_ + keys, T{1});
        dropout_row(a_.address, first_element_ + (l + r) * all_keys_ + s, keys, threshold,
                    static_cast<T>(1 / (1 - a_.dropout)), factors_);
      }
      softmax_backward(weights_ + r * kTile, grad_scores_ + r * kTile, factors_,
                       std::clamp<std::int64_t>(visible_(l + r) - s, 0, keys), keys,
                       log_sum_exp_[l + r], delta_[l + r]);
    }
    blas_gemm(true, false, keys, out_width_, rows, T{1}, weights_, kTile, grad_out_.row(l),
              grad_out_.stride, T{1}, value_sum_, out_width_);
    blas_gemm(true, false, keys, width_, rows, scale, grad_scores_, kTile, query_.row(l),
              query_.stride, T{1}, key_sum_, width_);
    blas_gemm(false, false, rows, width_, keys, scale, grad_scores_, kTile, key_.row(s),
              key_.stride, s == 0 ? static_cast<T>(a_.beta_query) : T{1}, grad_query_.row(l),
              grad_query_.stride);
  }

  const SoftmaxAttentionBackwardArgs& a_;
  Head<T> query_, key_, value_, out_, grad_out_, grad_query_, grad_key_, grad_value_;
  Visible visible_;
  std::int64_t queries_ = a_.query.size(1), all_keys_ = a_.key.size(1);
  std::int64_t width_ = a_.query.size(3), out_width_ = a_.value.size(3);
  const T* log_sum_exp_;
  std::int64_t first_element_;
  T *weights_, *grad_scores_;  // [kTile, kTile]
  T* factors_;                 // [kTile]
  T *key_sum_, *value_sum_;    // [kTile, E], [kTile, M]: the gradients of a tile of keys
  T* delta_;                   // [L]
};

void forward_tile(const SoftmaxAttentionForwardArgs& a, std::int64_t n, std::int64_t h,
                  std::int64_t tile) {
  with_float_type(a.query.dtype(),
                  [&](auto zero) { forward<decltype(zero)>(a, n, h, tile * kTile); });
}

void backward_head(const SoftmaxAttentionBackwardArgs& a, std::int64_t n, std::int64_t h) {
  with_float_type(a.query.dtype(), [&](auto zero) { Backward<decltype(zero)>(a, n, h).run(); });
}

}  // namespace
}  // namespace tarn::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tarn::kernels::cpu {
namespace {

HWY_EXPORT(forward_tile);
HWY_EXPORT(backward_head);

}  // namespace

void softmax_attention_forward(const SoftmaxAttentionForwardArgs& args) {
  SoftmaxAttentionForwardArgs a = args;
  for (Tensor* t : {&a.query, &a.key, &a.value}) *t = with_rows_apart(*t);
  const std::int64_t heads = a.query.size(2);
  const std::int64_t tiles = (a.query.size(1) + HWY_NAMESPACE::kTile - 1) / HWY_NAMESPACE::kTile;
  parallel_for(a.query.size(0) * heads * tiles, [&](std::int64_t i) {
    const std::int64_t head = i / tiles;
    HWY_DYNAMIC_DISPATCH(forward_tile)(a, head / heads, head % heads, i % tiles);
  });
}

void softmax_attention_backward(const SoftmaxAttentionBackwardArgs& args) {
  SoftmaxAttentionBackwardArgs a = args;
  for (Tensor* t : {&a.query, &a.key, &a.value, &a.grad_out}) *t = with_rows_apart(*t);
  for_each_head(a.query, [&](std::int64_t n, std::int64_t h) {
    HWY_DYNAMIC_DISPATCH(backward_head)(a, n, h);
  });
}

}  // namespace tarn::kernels::cpu
#endif  // HWY_ONCE
