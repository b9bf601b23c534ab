// Residual, dropout and layer normalisation in one pass over the rows.
#pragma once

#include "core/rng.h"
#include "core/tensor.h"

namespace tarn::kernels {

// sum = x + dropout(branch); out = (sum - mean) * rstd * weight + bias, over the last dimension.
// x, branch, sum, out: f32 or f64 and alike, contiguous [..., width]. Without a branch, sum is
// undefined and x plays its part. mean and rstd: [rows], written for the backward unless undefined.
struct LayerNormForwardArgs {
  Tensor x, branch, weight, bias, sum, out, mean, rstd;
  double eps = 1e-5;
  double dropout = 0;
  RngAddress address;
};

// grad_x = beta_x * grad_x + d; grad_branch = dropout of d (always written, beta 0 or 1), where d
// is the gradient of the sum. grad_weight and grad_bias are [width]. Undefined gradients are
// skipped.
struct LayerNormBackwardArgs {
  Tensor sum, weight, mean, rstd, grad_out;
  Tensor grad_x, grad_branch, grad_weight, grad_bias;
  double beta_x = 0, beta_branch = 0, beta_weight = 0, beta_bias = 0;
  double dropout = 0;
  RngAddress address;
};

}  // namespace tarn::kernels
