// A linear layer, y = dropout(activation(x weight^T + bias)), as one op (kernels/gemm.h). Throws
// ShapeError, DTypeError or DeviceError that names the argument.
#pragma once

#include "autograd/tape.h"
#include "core/compute.h"
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
// returns [..., out]. With bf16 products, x and weight are f32; so are the gradients.
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias,
              const LinearEpilogue& epilogue = {}, Compute compute = Compute::own_type);

}  // namespace tarn::ad
