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

// One position of the same attentions, for running a trained model as an RNN; never recorded.
// query, key [N, H, E], value [N, H, M]; returns [N, H, M]. The state is updated in place.

// State: sum [N, H, E, M] and key_sum [N, H, E], zero before the first position.
Tensor causal_linear_step(const Tensor& query, const Tensor& key, const Tensor& value,
                          const Tensor& sum, const Tensor& key_sum, double eps);

// State: keys [N, capacity, H, E] and values [N, capacity, H, M]; this is position `position`, from
// 0. Throws when it does not fit the capacity.
Tensor softmax_step(const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& keys,
                    const Tensor& values, std::int64_t position, double scale);

}  // namespace tarn::ad
