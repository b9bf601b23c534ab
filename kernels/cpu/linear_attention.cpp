// Linear attention without a causal mask: one sum of key value^T for all queries of a head (paper,
// eqs. 5 and 6), so that all work is matrix products over the heads, without a copy. Tiles of 64
// positions keep a product and the scaling of its rows in the first-level cache.
#include "kernels/linear_attention.h"

#include <algorithm>
#include <cstdint>

#include "kernels/cpu/blas.h"
#include "kernels/cpu/heads.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/rows.h"
#include "kernels/cpu/scratch.h"
#include "kernels/dtype_switch.h"
#include "kernels/table.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/linear_attention.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// After highway.h, compiled once for a target.
#include "kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tarn::kernels::cpu::HWY_NAMESPACE {
namespace {

constexpr std::int64_t kTile = 64;

// row = beta * row + factor * add, the old row not read when beta is 0.
template <class T>
HWY_INLINE void update_row(T beta, T factor, const T* add, T* row, std::int64_t n) {
  for_vectors<T>(n, [&](auto d, std::int64_t i) HWY_ATTR {
    auto sum = hn::Mul(hn::Set(d, factor), hn::LoadU(d, add + i));
    if (beta != 0) sum = hn::MulAdd(hn::Set(d, beta), hn::LoadU(d, row + i), sum);
    hn::StoreU(sum, d, row + i);
  });
}

// row = beta * row, the old row not read when beta is 0.
template <class T>
HWY_INLINE void scale_row(T beta, T* row, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) row[i] = beta == 0 ? 0 : beta * row[i];
}

template <class T>
void forward(const LinearAttentionForwardArgs& a, std::int64_t n, std::int64_t h) {
  const Head<T> query(a.query, n, h), key(a.key, n, h), value(a.value, n, h), out(a.out, n, h);
  const std::int64_t queries = a.query.size(1), keys = valid_length(a.lengths, n, a.key.size(1));
  const std::int64_t width = a.query.size(3), out_width = a.out.size(3);
  T* sum = of_head<T>(a.sum, n, h);
  T* key_sum = of_head<T>(a.key_sum, n, h);
  T* inverse_sum = of_head<T>(a.inverse_sum, n, h);

  std::fill(sum, sum + width * out_width, T{0});
  std::fill(key_sum, key_sum + width, T{0});
  for (std::int64_t s = 0; s < keys; s += kTile) {
    const std::int64_t rows = std::min(kTile, keys - s);
    blas_gemm(true, false, width, out_width, rows, T{1}, key.row(s), key.stride, value.row(s),
              value.stride, T{1}, sum, out_width);
    for (std::int64_t r = 0; r < rows; ++r) {
      update_row(T{1}, T{1}, key.row(s + r), key_sum, width);
    }
  }
  for (std::int64_t l = 0; l < queries; l += kTile) {
    const std::int64_t rows = std::min(kTile, queries - l);
    blas_gemm(false, false, rows, out_width, width, T{1}, query.row(l), query.stride, sum,
              out_width, T{0}, out.row(l), out.stride);
    for (std::int64_t r = l; r < l + rows; ++r) {
      inverse_sum[r] = 1 / (dot(query.row(r), key_sum, width) + static_cast<T>(a.eps));
      update_row(T{0}, inverse_sum[r], out.row(r), out.row(r), out_width);
    }
  }
}

// The second half of backward(): grad_key and grad_value from R and r.
template <class T>
void backward_keys(const LinearAttentionBackwardArgs& a, std::int64_t n, std::int64_t h,
                   const T* grad_sum, const T* grad_key_sum) {
  const Head<T> key(a.key, n, h), value(a.value, n, h);
  const Head<T> grad_key(a.grad_key, n, h), grad_value(a.grad_value, n, h);
  const std::int64_t width = a.key.size(3), out_width = a.value.size(3),
                     keys = valid_length(a.lengths, n, a.key.size(1));
  const auto beta_key = static_cast<T>(a.beta_key), beta_value = static_cast<T>(a.beta_value);
  for (std::int64_t s = 0; s < keys; s += kTile) {
    const std::int64_t rows = std::min(kTile, keys - s);
    for (std::int64_t r = s; r < s + rows; ++r) {
      update_row(beta_key, T{1}, grad_key_sum, grad_key.row(r), width);
    }
    blas_gemm(false, true, rows, width, out_width, T{1}, value.row(s), value.stride, grad_sum,
              out_width, T{1}, grad_key.row(s), grad_key.stride);
    blas_gemm(false, false, rows, out_width, width, T{1}, key.row(s), key.stride, grad_sum,
              out_width, beta_value, grad_value.row(s), grad_value.stride);
  }
  for (std::int64_t s = keys; s < a.key.size(1); ++s) {  // masked
    scale_row(beta_key, grad_key.row(s), width);
    scale_row(beta_value, grad_value.row(s), out_width);
  }
}

// With g = grad_out / denominator and d = -(g . out), that of the denominator:
//   grad_query[l] = sum g[l] + d[l] key_sum
//   grad_value[s] = R^T key[s] and grad_key[s] = R value[s] + r,
//   where R = sum over l of query[l] g[l]^T and r = sum over l of d[l] query[l].
template <class T>
void backward(const LinearAttentionBackwardArgs& a, std::int64_t n, std::int64_t h) {
  const Head<T> query(a.query, n, h), out(a.out, n, h), grad_out(a.grad_out, n, h);
  const Head<T> grad_query(a.grad_query, n, h);
  const std::int64_t queries = a.query.size(1);
  const std::int64_t width = a.query.size(3), out_width = a.out.size(3);
  const T* sum = of_head<T>(a.sum, n, h);
  const T* key_sum = of_head<T>(a.key_sum, n, h);
  const T* inverse_sum = of_head<T>(a.inverse_sum, n, h);

  T* scaled = thread_scratch<T>(kTile * out_width + width * out_width + width);
  T* grad_sum = scaled + kTile * out_width;
  T* grad_key_sum = grad_sum + width * out_width;
  std::fill(grad_sum, grad_key_sum + width, T{0});
  for (std::int64_t l = 0; l < queries; l += kTile) {
    const std::int64_t rows = std::min(kTile, queries - l);
    for (std::int64_t r = 0; r < rows; ++r) {
      T* g = scaled + r * out_width;
      update_row(T{0}, inverse_sum[l + r], grad_out.row(l + r), g, out_width);
      const T d = -dot(g, out.row(l + r), out_width);
      update_row(static_cast<T>(a.beta_query), d, key_sum, grad_query.row(l + r), width);
      update_row(T{1}, d, query.row(l + r), grad_key_sum, width);
    }
    blas_gemm(false, true, rows, width, out_width, T{1}, scaled, out_width, sum, out_width, T{1},
              grad_query.row(l), grad_query.stride);
    blas_gemm(true, false, width, out_width, rows, T{1}, query.row(l), query.stride, scaled,
              out_width, T{1}, grad_sum, out_width);
  }
  backward_keys(a, n, h, grad_sum, grad_key_sum);
}

void forward_head(const LinearAttentionForwardArgs& a, std::int64_t n, std::int64_t h) {
  with_float_type(a.query.dtype(), [&](auto zero) { forward<decltype(zero)>(a, n, h); });
}

void backward_head(const LinearAttentionBackwardArgs& a, std::int64_t n, std::int64_t h) {
  with_float_type(a.query.dtype(), [&](auto zero) { backward<decltype(zero)>(a, n, h); });
}

}  // namespace
}  // namespace tarn::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tarn::kernels::cpu {
namespace {

HWY_EXPORT(forward_head);
HWY_EXPORT(backward_head);

}  // namespace

void linear_attention_forward(const LinearAttentionForwardArgs& args) {
  LinearAttentionForwardArgs a = args;
  for (Tensor* t : {&a.query, &a.key, &a.value}) *t = with_rows_apart(*t);
  for_each_head(a.query, [&](std::int64_t n, std::int64_t h) {
    HWY_DYNAMIC_DISPATCH(forward_head)(a, n, h);
  });
}

void linear_attention_backward(const LinearAttentionBackwardArgs& args) {
  LinearAttentionBackwardArgs a = args;
  for (Tensor* t : {&a.query, &a.key, &a.value}) *t = with_rows_apart(*t);
  for_each_head(a.query, [&](std::int64_t n, std::int64_t h) {
    HWY_DYNAMIC_DISPATCH(backward_head)(a, n, h);
  });
}

}  // namespace tarn::kernels::cpu
#endif  // HWY_ONCE
