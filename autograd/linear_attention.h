// Linear attention without a causal mask (paper, eqs. 4 to 6) as an op over split heads. Formula
// and gradient: kernels/linear_attention.h. Throws ShapeError, DTypeError, DeviceError or
// IndexError (a length) that names the argument.
#pragma once

#include "autograd/heads.h"

namespace tarn::ad {

// query and key are feature-mapped already; keys may be more or fewer than queries. Returns
// [N, L, H, M]. Saves the inputs, the output, the sums over the keys and one number a query.
// `lengths`: i32 [N], each at most the number of keys, or undefined; keys at or past a sequence's
// length count for nothing.
Tensor linear_attention(const Heads& heads, const Tensor& lengths, double eps);

}  // namespace tarn::ad
