// The three attentions as ops over split heads; kernels/attention.h has the formulas. All return
// [N, L, H, M].
// `lengths`: i32 [N] or undefined; keys at or past a sequence's length count for nothing.
#pragma once

#include "autograd/tape.h"
#include "core/rng.h"

namespace tarn::ad {

// query, key [N, L, H, E] and value [N, L, H, M] with any outer strides.
struct Heads {
  Tensor query, key, value;
  // Where the three are windows of one tensor [N, L, H (2 E + M)], that tensor: it stands on the
  // tape in their place, and its gradient is written in one piece.
  Tensor joint;

  static Heads of(const Tensor& joint, std::int64_t heads, std::int64_t query_width,
                  std::int64_t value_width);
};

// Numerator and denominator in one op, with the full hand-written gradient. query and key are
// feature-mapped already. Saves the inputs, the output and one number a position.
Tensor causal_linear_attention(const Heads& heads, const Tensor& lengths, double eps);

// The same without the causal mask; keys may be more or fewer than queries.
Tensor linear_attention(const Heads& heads, const Tensor& lengths, double eps);

struct SoftmaxOptions {
  double scale = 1;
  bool causal = false;
  double dropout = 0;  // of the weights
  RngAddress address;
};

Tensor softmax_attention(const Heads& heads, const Tensor& lengths, const SoftmaxOptions& options);

// A prefix absorbed by the state of a model that runs step by step (autograd/encoder_step.h); never
// recorded. The keys of linear attention are feature-mapped.

// State: sum [N, H, E, M] and key_sum [N, H, E], overwritten.
void causal_linear_absorb(const Heads& heads, const Tensor& sum, const Tensor& key_sum);

// State: keys [N, H, capacity, E] and values [N, H, capacity, M]; the first L are overwritten.
void softmax_absorb(const Heads& heads, const Tensor& keys, const Tensor& values);

}  // namespace tarn::ad
