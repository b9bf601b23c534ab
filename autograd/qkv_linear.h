// The projections of attention to queries, keys and values as one product. Throws ShapeError,
// DTypeError or DeviceError that names the argument.
#pragma once

#include <array>

#include "core/compute.h"
#include "core/tensor.h"
#include "kernels/unary.h"

namespace tarn::ad {

using kernels::Unary;

// The layers that make queries, keys and values, their parameters side by side in memory.
struct QkvLayers {
  Tensor weight, bias;                    // [sum of outs, in], [sum of outs]: all of them
  std::array<Tensor, 3> weights, biases;  // each layer's own parameters, windows of those
};

// The three over one input as one product: [..., in] to [..., sum of outs], queries first. The
// activation, one whose gradient needs only its output, applies to the first two layers.
Tensor qkv_linear(const Tensor& x, const QkvLayers& layers, Unary activation,
                  Compute compute = Compute::own_type);

}  // namespace tarn::ad
