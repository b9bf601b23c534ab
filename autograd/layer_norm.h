// Layer normalisation (Ba et al., 2016) as an op, alone or with the residual branch before it.
// Gradient: kernels/layer_norm.h. Tensors are f32 or f64 and alike, and contiguous. Throws
// ShapeError, DTypeError, DeviceError, or Error for a probability outside [0, 1).
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
