// Linear attention without a causal mask (paper, eqs. 4 to 6).
// query and key [N, L, H, E] and value [N, L, H, M] are f32 or f64 and alike, with the last
// dimension contiguous and any outer strides, which is what splitting heads gives. `lengths` i32
// [N], undefined for none: keys at or past a sequence's length count for nothing; outputs there are
// finite, and gradients of masked keys and values are zero. Gradients are beta * old + new; all
// three are wanted or none. The bits do not depend on the number of threads.
#pragma once

#include "core/tensor.h"

namespace tarn::kernels {

// out[l] = query[l] (sum over s of key[s] value[s]^T) / (query[l] . sum of key[s] + eps) (eq. 5).
// The number of keys may differ from the number of queries.
struct LinearAttentionForwardArgs {
  Tensor query, key, value;
  Tensor lengths;
  double eps = 1e-6;
  Tensor out;           // [N, L, H, M]
  Tensor inverse_sum;   // [N, H, L]
  Tensor sum, key_sum;  // [N, H, E, M], [N, H, E]: what the backward reads
};
struct LinearAttentionBackwardArgs {
  Tensor query, key, value;
  Tensor lengths;
  Tensor out, inverse_sum, sum, key_sum, grad_out;
  Tensor grad_query, grad_key, grad_value;
  double beta_query = 0, beta_key = 0, beta_value = 0;
};

}  // namespace tarn::kernels
