#include "nn/attention/linear.h"

#include "autograd/attention.h"

namespace tarn::nn {

Tensor LinearAttention::forward(const Tensor& query, const Tensor& key, const Tensor& value,
                                const AttentionMask& mask, const Pass& /*pass*/) const {
  TARN_CHECK_AS(ConfigError, !mask.causal,
                "attention \"linear\" cannot be causal; use \"causal-linear\" or \"full\"");
  return ad::linear_attention(ad::unary(query, feature_map_.op), ad::unary(key, feature_map_.op),
                              value, mask.lengths, kLinearAttentionEps);
}

}  // namespace tarn::nn
