// Causal linear attention (paper, eqs. 8 to 12) as an op over split heads. Formula and gradient:
// kernels/causal_linear_attention.h.
// Throws ShapeError, DTypeError, DeviceError or IndexError (a length) that names the argument.
#pragma once

#include "autograd/heads.h"

namespace tarn::ad {

// Numerator and denominator in one op. query and key are feature-mapped already and of one length;
// returns [N, L, H, M]. Saves the inputs, the output and one number a position.
// `lengths`: i32 [N], each at most the number of keys, or undefined; keys at or past a sequence's
// length count for nothing.
Tensor causal_linear_attention(const Heads& heads, const Tensor& lengths, double eps);

// The state that L steps of a model would leave (autograd/encoder_step.h), from its keys, which are
// feature-mapped, and values at once: sum [N, H, E, M] and key_sum [N, H, E], overwritten. Never
// recorded.
void causal_linear_attention_prefill(const Heads& heads, const Tensor& sum, const Tensor& key_sum);

}  // namespace tarn::ad
