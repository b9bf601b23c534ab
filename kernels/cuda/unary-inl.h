// The functions of kernels/unary.h for one element, on the device. A NaN stays one.
#pragma once

#include <cmath>

#include "kernels/cuda/gpu.h"
#include "kernels/unary.h"

namespace tarn::kernels::cuda {

// The normal distribution function, by the exact erf.
template <class T>
__device__ T normal_cdf(T x) {
  return T(0.5) * (T(1) + std::erf(x * T(0.70710678118654752440)));  // 1 / sqrt(2)
}

template <class T>
__device__ T unary(Unary op, T x) {
  switch (op) {
    case Unary::identity:
      return x;
    case Unary::relu:
      return x < T(0) ? T(0) : x;
    case Unary::gelu:
      return x * normal_cdf(x);
    case Unary::elu_plus_one:
      return x <= T(0) ? std::exp(x) : x + T(1);
  }
  return x;
}

// f'(x); `saved` is x or f(x), as backward_needs_input() says.
template <class T>
__device__ T unary_derivative(Unary op, T saved) {
  switch (op) {
    case Unary::identity:
      return T(1);
    case Unary::relu:
      return saved > T(0) ? T(1) : T(0);
    case Unary::gelu:
      return normal_cdf(saved) + saved * T(0.39894228040143267794) *
                                     std::exp(T(-0.5) * saved * saved);  // 1 / sqrt(2 pi)
    case Unary::elu_plus_one:  // 1 for x > 0, else exp(x): the smaller of 1 and f(x)
      return saved > T(1) ? T(1) : saved;
  }
  return T(1);
}

}  // namespace tarn::kernels::cuda
