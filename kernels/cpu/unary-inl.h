// The functions of kernels/unary.h on vectors; see simd-inl.h for how this is included.

#if defined(TARN_KERNELS_CPU_UNARY_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TARN_KERNELS_CPU_UNARY_INL_H_
#undef TARN_KERNELS_CPU_UNARY_INL_H_
#else
#define TARN_KERNELS_CPU_UNARY_INL_H_
#endif

#include "kernels/common/unary.h"
#include "kernels/cpu/exp-inl.h"
#include "kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tarn::kernels::cpu::HWY_NAMESPACE {

// row[i] = f(x[i]); x and row may be the same. A NaN stays one, so that a diverged run is seen: the
// comparisons below are written to be false for it.
template <class T>
HWY_INLINE void unary_row(Unary op, const T* x, T* row, std::int64_t n) {
  switch (op) {
    case Unary::identity:
      if (x != row) std::copy(x, x + n, row);
      return;
    case Unary::relu:
      return for_vectors<T>(n, [&](auto d, std::int64_t i) HWY_ATTR {
        const auto v = hn::LoadU(d, x + i);
        hn::StoreU(hn::IfThenElse(hn::Lt(v, hn::Zero(d)), hn::Zero(d), v), d, row + i);
      });
    case Unary::gelu:
      for (std::int64_t i = 0; i < n; ++i) row[i] = gelu(x[i]);
      return;
    case Unary::elu_plus_one:
      return for_vectors<T>(n, [&](auto d, std::int64_t i) HWY_ATTR {
        const auto v = hn::LoadU(d, x + i);
        const auto zero = hn::Zero(d);
        const auto grown = hn::Add(v, hn::Set(d, T{1}));
        const auto decayed = hn::Exp(d, hn::Min(v, zero));
        hn::StoreU(hn::IfThenElse(hn::Le(v, zero), decayed, grown), d, row + i);
      });
  }
}

// grad[i] = grad[i] * f'(x[i]); `saved` is x or f(x), as backward_needs_input() says.
template <class T>
HWY_INLINE void unary_backward_row(Unary op, const T* saved, T* grad, std::int64_t n) {
  switch (op) {
    case Unary::identity:
      return;
    case Unary::relu:
      return for_vectors<T>(n, [&](auto d, std::int64_t i) HWY_ATTR {
        const auto on = hn::Gt(hn::LoadU(d, saved + i), hn::Zero(d));
        hn::StoreU(hn::IfThenElseZero(on, hn::LoadU(d, grad + i)), d, grad + i);
      });
    case Unary::gelu:
      for (std::int64_t i = 0; i < n; ++i) grad[i] *= gelu_derivative(saved[i]);
      return;
    case Unary::elu_plus_one:  // 1 for x > 0, else exp(x): the smaller of 1 and f(x)
      return for_vectors<T>(n, [&](auto d, std::int64_t i) HWY_ATTR {
        const auto derivative = hn::Min(hn::LoadU(d, saved + i), hn::Set(d, T{1}));
        hn::StoreU(hn::Mul(hn::LoadU(d, grad + i), derivative), d, grad + i);
      });
  }
}

}  // namespace tarn::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
