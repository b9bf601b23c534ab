// What the ops that are matrix products share: the check of their arguments and the kernels that
// they run. A matrix is [rows, columns], f32 or f64, with contiguous rows.
#pragma once

#include "core/tensor.h"
#include "kernels/gemm.h"

namespace tarn::ad {

// x [..., width], which is not empty, as [rows, width].
Tensor as_matrix(const Tensor& x);

// That x [..., in], weight [out, in] and bias [out], which may be undefined, fit and are laid out
// as the product reads them. Throws what autograd/check.h says.
void check_linear(const char* op, const Tensor& x, const Tensor& weight, const Tensor& bias);

// That the products of x can compute so.
void check_compute(const char* op, const Tensor& x, Compute compute);

void run_gemm(const kernels::GemmArgs& args);

// Does nothing where the epilogue leaves nothing to do.
void run_epilogue_backward(const kernels::LinearEpilogueBackwardArgs& args);

}  // namespace tarn::ad
