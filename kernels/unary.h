// Functions of one element: activations and feature maps.
#pragma once

#include <cstdint>

#include "core/tensor.h"

namespace tarn::kernels {

enum class Unary : std::uint8_t {
  identity,
  relu,
  gelu,          // x * Phi(x), exact
  elu_plus_one,  // x + 1 for x > 0, else exp(x): the paper's feature map (eq. 7), never as elu(x) +
                 // 1, which rounds small values to zero
};

// The derivative of relu and elu_plus_one can be told from the output alone; gelu needs its input.
constexpr bool backward_needs_input(Unary op) { return op == Unary::gelu; }

// out = f(x). Same shape; x any outer strides, last dimension contiguous; out contiguous.
struct UnaryForwardArgs {
  Tensor x, out;
  Unary op = Unary::identity;
};

// grad_x = beta * grad_x + grad_out * f'(x). `saved` is x where backward_needs_input, else out.
struct UnaryBackwardArgs {
  Tensor saved, grad_out, grad_x;
  Unary op = Unary::identity;
  double beta = 0;
};

}  // namespace tarn::kernels
