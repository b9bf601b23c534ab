// The matrix product, with what follows a linear layer done while the rows are in cache.
#pragma once

#include "core/compute.h"
#include "core/rng.h"
#include "core/tensor.h"
#include "kernels/unary.h"

namespace tarn::kernels {

// out = dropout(activation(op(a) op(b) + bias)) or, without an epilogue, beta * out + op(a) op(b).
// op(x) is x, or its transpose if told. a, b, out: rank 2, f32 or f64, last dimension contiguous.
// Beta and an epilogue exclude each other. The bits do not depend on the number of threads.
struct GemmArgs {
  Tensor a, b, out;
  bool transpose_a = false, transpose_b = false;
  double beta = 0;
  Tensor bias;  // [columns of out]; undefined: none
  Unary activation = Unary::identity;
  std::int64_t activated = -1;  // how many columns, from the first, it applies to; -1: all
  Tensor pre_activation;        // [like out], written if defined: what gelu's backward reads
  double dropout = 0;           // probability of a zero; the rest is scaled by 1 / (1 - dropout)
  RngAddress address;           // element i of out draws element i of this stream
  Compute compute = Compute::own_type;  // bf16: a, b and out are f32
};

// The backward pass of a linear layer's epilogue, in place: grad, the gradient of the layer's
// output, becomes that of (op(a) op(b) + bias), and its column sums are the gradient of the bias.
struct LinearEpilogueBackwardArgs {
  Tensor grad;  // [rows, columns] of any row stride, overwritten unless the epilogue is only a bias
  Tensor out;   // what the layer returned, rows alike; read for relu and elu_plus_one
  Tensor pre_activation;  // rows alike; read for gelu
  Unary activation = Unary::identity;
  double dropout = 0;
  RngAddress address;
  Tensor grad_bias;  // [columns]; undefined: not wanted
  double beta_bias = 0;
};

}  // namespace tarn::kernels
