// Softmax attention (paper, eq. 2), causal or not, as an op over split heads. Formula and gradient:
// kernels/softmax_attention.h.
// Throws ShapeError, DTypeError, DeviceError or IndexError (a length) that names the argument.
#pragma once

#include "autograd/heads.h"
#include "core/rng.h"

namespace tarn::ad {

struct SoftmaxAttentionOptions {
  double scale = 1;
  bool causal = false;
  double dropout = 0;  // of the weights
  RngAddress address;
};

// Returns [N, L, H, M]. Saves the inputs, the output and one number a query; no [L, S] matrix.
// `lengths`: i32 [N], each at most the number of keys, or undefined; keys at or past a sequence's
// length count for nothing.
Tensor softmax_attention(const Heads& heads, const Tensor& lengths,
                         const SoftmaxAttentionOptions& options);

// The first L positions of a key-value cache (autograd/encoder_step.h) at once: keys [N, H,
// capacity, E] and values [N, H, capacity, M], of which those L are overwritten. Never recorded.
void softmax_attention_prefill(const Heads& heads, const Tensor& keys, const Tensor& values);

}  // namespace tarn::ad
