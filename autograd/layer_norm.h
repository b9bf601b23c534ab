#pragma once

#include "autograd/tape.h"
#include "core/rng.h"

namespace tarn::ad {

// (x - mean) / sqrt(variance + eps) * weight + bias over the last dimension; weight, bias [width].
Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps);

// layer_norm(x + dropout(branch)) in one pass: the end of a residual branch.
Tensor add_layer_norm(const Tensor& x, const Tensor& branch, double dropout,
                      const RngAddress& address, const Tensor& weight, const Tensor& bias,
                      double eps);

}  // namespace tarn::ad
