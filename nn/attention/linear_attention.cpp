#include "nn/attention/linear_attention.h"

#include "autograd/linear_attention.h"

namespace tarn::nn {

Tensor LinearAttention::forward(const ad::Heads& heads, const AttentionMask& mask,
                                const Pass& /*pass*/) const {
  TARN_CHECK_AS(ConfigError, !mask.causal,
                "attention \"linear\" cannot be causal; use \"causal-linear\" or \"full\"");
  return ad::linear_attention(heads, mask.lengths, kLinearAttentionEps);
}

}  // namespace tarn::nn
