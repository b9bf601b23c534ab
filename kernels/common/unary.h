// The functions of kernels/unary.h for one element. A NaN stays one: the comparisons are false for
// it.
//
// CUDA devices compute all of them by these. The CPU computes gelu by these, since its erf is of
// one element at a time; its relu and elu + 1 are written again for vectors
// (kernels/cpu/unary-inl.h), which choose by masks and have an exp of their own, so that one source
// for both would be slower.
#pragma once

#include <cmath>

#include "kernels/common/device.h"
#include "kernels/unary.h"

namespace tarn::kernels {

// The normal distribution function, by the exact erf.
template <class T>
TARN_DEVICE inline T normal_cdf(T x) {
  return T(0.5) * (T(1) + std::erf(x * T(0.70710678118654752440)));  // 1 / sqrt(2)
}

template <class T>
TARN_DEVICE inline T gelu(T x) {
  return x * normal_cdf(x);
}

template <class T>
TARN_DEVICE inline T gelu_derivative(T x) {
  return normal_cdf(x) +
         x * T(0.39894228040143267794) * std::exp(T(-0.5) * x * x);  // 1 / sqrt(2 pi)
}

template <class T>
TARN_DEVICE inline T unary(Unary op, T x) {
  switch (op) {
    case Unary::identity:
      return x;
    case Unary::relu:
      return x < T(0) ? T(0) : x;
    case Unary::gelu:
      return gelu(x);
    case Unary::elu_plus_one:
      return x <= T(0) ? std::exp(x) : x + T(1);
  }
  return x;
}

// f'(x); `saved` is x or f(x), as backward_needs_input() says.
template <class T>
TARN_DEVICE inline T unary_derivative(Unary op, T saved) {
  switch (op) {
    case Unary::identity:
      return T(1);
    case Unary::relu:
      return saved > T(0) ? T(1) : T(0);
    case Unary::gelu:
      return gelu_derivative(saved);
    case Unary::elu_plus_one:  // 1 for x > 0, else exp(x): the smaller of 1 and f(x)
      return saved > T(1) ? T(1) : saved;
  }
  return T(1);
}

}  // namespace tarn::kernels
