#pragma once

#include <array>

#include "autograd/tape.h"
#include "core/rng.h"
#include "kernels/unary.h"

namespace tarn::ad {

using kernels::Unary;

// What follows the product, in the same pass over its rows.
struct LinearEpilogue {
  Unary activation = Unary::identity;
  double dropout = 0;
  RngAddress address;  // read only with dropout
};

// dropout(activation(x weight^T + bias)): x [..., in], weight [out, in], bias [out] or undefined;
// returns [..., out].
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias,
              const LinearEpilogue& epilogue = {});

// The layers that make queries, keys and values, their parameters side by side in memory.
struct JointLayers {
  Tensor weight, bias;                    // [sum of outs, in], [sum of outs]: all of them
  std::array<Tensor, 3> weights, biases;  // each layer's own parameters, windows of those
};

// The three over one input as one product: [..., in] to [..., sum of outs], queries first. The
// activation, one whose gradient needs only its output, applies to the first two layers.
Tensor joint_linear(const Tensor& x, const JointLayers& layers, Unary activation);

}  // namespace tarn::ad
