// Causal linear attention (paper, eqs. 8 to 15).
// query and key [N, L, H, E] and value [N, L, H, M] are f32 or f64 and alike, with the last
// dimension contiguous and any outer strides, which is what splitting heads gives. `lengths` i32
// [N], undefined for none: keys at or past a sequence's length count for nothing; outputs there are
// finite, and gradients of masked keys and values are zero. Gradients are beta * old + new; all
// three are wanted or none. The bits do not depend on the number of threads.
#pragma once

#include "core/tensor.h"

namespace tarn::kernels {

// out[l] = sum over s <= l of (query[l] . key[s]) value[s] / (sum over s <= l of query[l] . key[s]
// + eps) with the feature map applied already (paper, eqs. 9 to 12).
struct CausalLinearAttentionForwardArgs {
  Tensor query, key, value;
  Tensor lengths;
  double eps = 1e-6;
  Tensor out;          // [N, L, H, M]
  Tensor inverse_sum;  // [N, H, L]: 1 / (denominator + eps), for the backward
};

// Eqs. 13 to 15 with the denominator's gradient folded in. Nothing per position is read beyond
// the inputs, out, inverse_sum and grad_out: the sums are computed again.
struct CausalLinearAttentionBackwardArgs {
  Tensor query, key, value;
  Tensor lengths;
  Tensor out, inverse_sum, grad_out;
  Tensor grad_query, grad_key, grad_value;
  double beta_query = 0, beta_key = 0, beta_value = 0;
};

}  // namespace tarn::kernels
