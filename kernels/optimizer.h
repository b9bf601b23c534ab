// Clips and updates all parameters of a model at once. A call's lists are equally long; tensors at
// one place of them have one shape; all are contiguous and of one dtype, f32 or f64.
#pragma once

#include <vector>

#include "core/tensor.h"

namespace tarn::kernels {

// totals[first + i] = sum of x[i] squared, in f64 by fixed chunks. totals: f64 [...].
struct SumOfSquaresArgs {
  std::vector<Tensor> x;
  Tensor totals;
  std::int64_t first = 0;
};

// totals[i] = how many elements of x[i] are infinite or NaN. totals: f64 [...].
struct CountNonfiniteArgs {
  std::vector<Tensor> x;
  Tensor totals;
};

// How much of each gradient stays when it is clipped, from the sums of their squares:
// norm[0] = sqrt(sum of squares), scales[i] = min(1, max_norm / (n + 1e-6)), where n is norm[0] or,
// if `per_tensor`, sqrt(squares[i]); 1 without a limit, which is a max_norm of 0. The 1e-6 is the
// authors'. Where the norm or an element of `watched` is not finite, stopped[0] becomes 1, and it
// stays so.
struct ClipScalesArgs {
  Tensor squares, watched;  // f64 [n] and [any]; watched may be undefined
  double max_norm = 0;
  bool per_tensor = true;
  Tensor scales, norm, stopped;  // f64 [n], [1] and [1]
};

// What both updates read: g = scales[i] * grad[i] + l2 * value[i]. Undefined scales are 1. Where
// stopped[0] is not 0, the update changes nothing; undefined is 0.
struct Gradients {
  std::vector<Tensor> grad;
  Tensor scales, stopped;  // f64 [n] and [1]
};

// velocity = momentum * velocity + g; value -= lr * velocity.
struct SgdStepArgs {
  std::vector<Tensor> value;
  Gradients gradients;
  std::vector<Tensor> velocity;
  double lr = 0, momentum = 0, l2 = 0;
};

// The moments of g, then value = value * (1 - decay) - step_size * m / (sqrt(v) * v_scale + eps),
// or without the divisor when not adaptive. Adam, AdamW and both RAdams are choices of these
// scalars.
struct AdamStepArgs {
  std::vector<Tensor> value;
  Gradients gradients;
  std::vector<Tensor> m, v;
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
  double step_size = 0, v_scale = 1, decay = 0, l2 = 0;
  bool adaptive = true;
};

}  // namespace tarn::kernels
