// What an update does to one tensor, in one pass. All tensors of a call are contiguous and alike.
#pragma once

#include "core/tensor.h"

namespace tarn::kernels {

// total[index] = sum of x squared, in f64 by fixed chunks. total: f64, any rank.
struct SumOfSquaresArgs {
  Tensor x, total;
  std::int64_t index = 0;
};

// total[0] = how many elements of x are infinite or NaN. total: f64.
struct CountNonfiniteArgs {
  Tensor x, total;
};

// velocity = momentum * velocity + g; value -= lr * velocity, with g = grad_scale * grad + l2 *
// value.
struct SgdStepArgs {
  Tensor value, grad, velocity;
  double lr = 0, momentum = 0, l2 = 0, grad_scale = 1;
};

// The moments of g = grad_scale * grad + l2 * value, then
// value = value * (1 - decay) - step_size * m / (sqrt(v) * v_scale + eps), or without the divisor
// when not adaptive. Adam, AdamW and both RAdams are choices of these scalars.
struct AdamStepArgs {
  Tensor value, grad, m, v;
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
  double step_size = 0, v_scale = 1, decay = 0, l2 = 0, grad_scale = 1;
  bool adaptive = true;
};

}  // namespace tarn::kernels
