// Softmax attention (paper, eq. 2), causal or not.
// query and key [N, L, H, E] and value [N, L, H, M] are f32 or f64 and alike, with the last
// dimension contiguous and any outer strides, which is what splitting heads gives. `lengths` i32
// [N], undefined for none: keys at or past a sequence's length count for nothing; outputs there are
// finite, and gradients of masked keys and values are zero. Gradients are beta * old + new; all
// three are wanted or none. The bits do not depend on the number of threads.
#pragma once

#include "core/rng.h"
#include "core/tensor.h"

namespace tarn::kernels {

// out[l] = sum over s of dropout(softmax_s(scale * query[l] . key[s])) value[s] (eq. 2), s <= l + S
// - L when causal (S keys, L queries: the last query sees every key). No [L, S] matrix is stored.
// Weight (n, h, l, s) draws element ((n H + h) L + l) S + s of the stream.
struct SoftmaxAttentionForwardArgs {
  Tensor query, key, value;
  Tensor lengths;
  double scale = 1;
  bool causal = false;
  double dropout = 0;
  RngAddress address;
  Tensor out;          // [N, L, H, M]
  Tensor log_sum_exp;  // [N, H, L]
};
struct SoftmaxAttentionBackwardArgs {
  Tensor query, key, value;
  Tensor lengths;
  double scale = 1;
  bool causal = false;
  double dropout = 0;
  RngAddress address;
  Tensor out, log_sum_exp, grad_out;
  Tensor grad_query, grad_key, grad_value;
  double beta_query = 0, beta_key = 0, beta_value = 0;
};

}  // namespace tarn::kernels
