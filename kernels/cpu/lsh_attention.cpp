// LSH attention chunk by chunk: the queries, keys and values of a chunk and of the one before it
// are gathered into a few kilobytes that stay in the first-level cache, and products by BLAS and a
// softmax over whole rows happen there.
#include "kernels/lsh_attention.h"

#include <algorithm>
#include <cstdint>

#include "kernels/cpu/blas.h"
#include "kernels/cpu/parallel.h"
#include "kernels/dtype_switch.h"
#include "kernels/table.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/lsh_attention.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// After highway.h, each is compiled once for a target.
#include "kernels/cpu/lsh_window-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tarn::kernels::cpu::HWY_NAMESPACE {
namespace {  // other kernels have a Backward of their own

// From exp_row's numbers e and the gradient of the weights p * factor, where p = e * inverse_sum:
// row = p * factor, and grad = that of the scores, p * (factor * grad - sum of p * factor * grad).
template <class T>
HWY_INLINE void softmax_backward(T* HWY_RESTRICT row, T* HWY_RESTRICT grad,
                                 const T* HWY_RESTRICT factors, std::int64_t width, T inverse_sum) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  auto sum = hn::Zero(d);
  for (std::int64_t i = 0; i < width; i += lanes) {
    const auto p = hn::Mul(hn::Load(d, row + i), hn::Set(d, inverse_sum));
    const auto g = hn::Mul(hn::Load(d, factors + i), hn::Load(d, grad + i));
    hn::Store(p, d, row + i);
    hn::Store(g, d, grad + i);
    sum = hn::MulAdd(p, g, sum);
  }
  const auto mean = hn::SumOfLanes(d, sum);
  for (std::int64_t i = 0; i < width; i += lanes) {
    const auto p = hn::Load(d, row + i);
    hn::Store(hn::Mul(p, hn::Sub(hn::Load(d, grad + i), mean)), d, grad + i);
    hn::Store(hn::Mul(p, hn::Load(d, factors + i)), d, row + i);
  }
}

template <class T>
void forward(const LshAttentionForwardArgs& a, std::int64_t n, std::int64_t h) {
  const Head<T> out(a.out, n, h);
  const std::int64_t rows_size = Window<T>::chunk_of(a) * out.width;
  Carver<T> carve(thread_scratch<T>(Window<T>::size_of(a) + rows_size));
  Window<T> window(a, n, h, carve);
  T* rows = carve.take(rows_size);
  for (std::int64_t r = 0; r < window.rounds(); ++r) {
    window.start(r);
    while (window.next()) {
      if (window.has_keys()) {
        window.compute_weights();
        for (std::int64_t i = 0; a.options.dropout > 0 && i < window.rows(); ++i) {
          window.drop(i, window.weights(i));
        }
        blas_gemm(false, false, window.rows(), out.width, window.keys(), T{1}, window.weights(),
                  window.stride(), window.all_values(), out.width, T{0}, rows, out.width);
      } else {
        std::fill_n(rows, window.rows() * out.width, T{0});
      }
      for (std::int64_t i = 0; i < window.rows(); ++i) {
        const T share = window.has_keys() ? window.inverse_sum(i) : T{0};
        accumulate(rows + i * out.width, share / static_cast<T>(window.rounds()), r == 0 ? 0 : 1,
                   out.row(window.position(window.first() + i)), out.width);
      }
    }
  }
}

// The gradients of one head of one sequence. A key's gradient is complete when the chunk after its
// own is done.
template <class T>
class Backward {
 public:
  Backward(const LshAttentionBackwardArgs& args, std::int64_t n, std::int64_t h)
      : a_(args),
        carve_(thread_scratch<T>(Window<T>::size_of(args) + own_size())),
        window_(args, n, h, carve_),
        grad_out_(args.grad_out, n, h),
        grad_query_(args.grad_query, n, h),
        grad_value_(args.grad_value, n, h),
        rows_grad_out_(carve_.take(chunk_ * out_width_)),
        rows_grad_(carve_.take(chunk_ * width_)),
        grad_keys_(carve_.take(2 * chunk_ * width_)),
        grad_values_(carve_.take(2 * chunk_ * out_width_)),
        grad_weights_(carve_.take_zeros(chunk_ * window_.stride())),
        factors_(carve_.take(window_.stride())) {
    std::fill_n(factors_, window_.stride(), T{1});
  }

  void run() {
    for (std::int64_t r = 0; r < window_.rounds(); ++r) {
      round_ = r;
      window_.start(r);
      std::int64_t own = 0;
      while (window_.next()) {
        if (own > 0) keep_own();
        own = window_.own();
        std::fill_n(grad_keys_ + own * width_, chunk_ * width_, T{0});
        std::fill_n(grad_values_ + own * out_width_, chunk_ * out_width_, T{0});
        chunk();
        if (own > 0) finish(window_.first() - chunk_, chunk_, 0);
      }
      const std::int64_t rows = (window_.first() - 1) % chunk_ + 1;
      finish(window_.first() - rows, rows, own);
    }
  }

 private:
  std::int64_t own_size() const {
    const std::int64_t stride = Window<T>::stride_of(chunk_);
    return Carver<T>::size(chunk_ * out_width_) + Carver<T>::size(chunk_ * width_) +
           Carver<T>::size(2 * chunk_ * width_) + Carver<T>::size(2 * chunk_ * out_width_) +
           Carver<T>::size(chunk_ * stride) + Carver<T>::size(stride);
  }

  void keep_own() {
    std::copy_n(grad_keys_ + chunk_ * width_, chunk_ * width_, grad_keys_);
    std::copy_n(grad_values_ + chunk_ * out_width_, chunk_ * out_width_, grad_values_);
  }

  // Adds to the gradients of the keys and values in the window, and writes those of the queries.
  void chunk() {
    const std::int64_t rows = window_.rows();
    if (window_.has_keys()) {
      products();
    } else {
      std::fill_n(rows_grad_, rows * width_, T{0});
    }
    for (std::int64_t i = 0; i < rows; ++i) {
      accumulate(rows_grad_ + i * width_, T{1}, round_ == 0 ? a_.beta_query : 1,
                 grad_query_.row(window_.position(window_.first() + i)), width_);
    }
  }

  void products() {
    const std::int64_t rows = window_.rows(), keys = window_.keys(), stride = window_.stride();
    const auto scale = static_cast<T>(a_.options.scale);
    for (std::int64_t i = 0; i < rows; ++i) {
      accumulate(grad_out_.row(window_.position(window_.first() + i)),
                 1 / static_cast<T>(window_.rounds()), 0, rows_grad_out_ + i * out_width_,
                 out_width_);
    }
    window_.compute_weights();
    blas_gemm(false, true, rows, keys, out_width_, T{1}, rows_grad_out_, out_width_,
              window_.all_values(), out_width_, T{0}, grad_weights_, stride);
    for (std::int64_t i = 0; i < rows; ++i) {
      if (a_.options.dropout > 0) {
        std::fill_n(factors_, keys, T{1});
        window_.drop(i, factors_);
      }
      softmax_backward(window_.weights(i), grad_weights_ + i * stride, factors_, stride,
                       window_.inverse_sum(i));
    }
    blas_gemm(true, false, keys, out_width_, rows, T{1}, window_.weights(), stride, rows_grad_out_,
              out_width_, T{1}, grad_values_, out_width_);
    blas_gemm(true, false, keys, width_, rows, scale, grad_weights_, stride, window_.queries(),
              width_, T{1}, grad_keys_, width_);
    blas_gemm(false, false, rows, width_, keys, scale, grad_weights_, stride, window_.all_keys(),
              width_, T{0}, rows_grad_, width_);
  }

  // Hands out the gradients of keys and values, whose rows start at `row`, to the positions in
  // `count` slots from `slot` on. With k = q / |q|, dq = (dk - (dk . k) k) / |q|.
  void finish(std::int64_t slot, std::int64_t count, std::int64_t row) {
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t l = window_.position(slot + i);
      const T* grad_key = grad_keys_ + (row + i) * width_;
      const T inverse = window_.inverse_norm(l);
      const T projection = dot(grad_key, window_.query(l), width_) * inverse * inverse;
      accumulate(grad_key, inverse, 1, grad_query_.row(l), width_);
      accumulate(window_.query(l), -projection * inverse, 1, grad_query_.row(l), width_);
      accumulate(grad_values_ + (row + i) * out_width_, T{1}, round_ == 0 ? a_.beta_value : 1,
                 grad_value_.row(l), out_width_);
    }
  }

  const LshAttentionBackwardArgs& a_;
  std::int64_t chunk_ = Window<T>::chunk_of(a_);
  std::int64_t width_ = a_.query.size(3), out_width_ = a_.value.size(3);
  std::int64_t round_ = 0;
  Carver<T> carve_;
  Window<T> window_;
  Head<T> grad_out_, grad_query_, grad_value_;
  T *rows_grad_out_, *rows_grad_;  // [chunk, M], [chunk, E]: of the queries' outputs, the queries
  T *grad_keys_, *grad_values_;    // [2 chunk, E], [2 chunk, M]
  T* grad_weights_;                // [chunk, stride]
  T* factors_;                     // [stride]
};

void forward_head(const LshAttentionForwardArgs& a, std::int64_t n, std::int64_t h) {
  with_float_type(a.query.dtype(), [&](auto zero) { forward<decltype(zero)>(a, n, h); });
}

void backward_head(const LshAttentionBackwardArgs& a, std::int64_t n, std::int64_t h) {
  with_float_type(a.query.dtype(), [&](auto zero) { Backward<decltype(zero)>(a, n, h).run(); });
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

void lsh_attention_forward(const LshAttentionForwardArgs& a) {
  for_each_head(a.query, [&](std::int64_t n, std::int64_t h) {
    HWY_DYNAMIC_DISPATCH(forward_head)(a, n, h);
  });
}

void lsh_attention_backward(const LshAttentionBackwardArgs& a) {
  if (a.query.size(1) == 0) return;  // there is no chunk
  for_each_head(a.query, [&](std::int64_t n, std::int64_t h) {
    HWY_DYNAMIC_DISPATCH(backward_head)(a, n, h);
  });
}

}  // namespace tarn::kernels::cpu
#endif  // HWY_ONCE
