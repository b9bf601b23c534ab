#include "nn/attention/causal_linear.h"

#include "autograd/attention.h"
#include "nn/attention/linear.h"

namespace tarn::nn {

Tensor CausalLinearAttention::forward(const Tensor& query, const Tensor& key, const Tensor& value,
                                      const AttentionMask& mask, const Pass& /*pass*/) const {
  TARN_CHECK_AS(ConfigError, mask.causal,
                "attention \"causal-linear\" is always causal; use \"linear\" or \"full\"");
  return ad::causal_linear_attention(ad::unary(query, feature_map_.op),
                                     ad::unary(key, feature_map_.op), value, mask.lengths,
                                     kLinearAttentionEps);
}

AttentionState CausalLinearAttention::start(std::int64_t batch, std::int64_t /*capacity*/) const {
  const Shape z{batch, shape_.heads, shape_.query_width};
  return {{{"sum", Tensor::zeros(z.with(shape_.value_width), build().dtype, build().device)},
           {"key_sum", Tensor::zeros(z, build().dtype, build().device)}},
          0};
}

Tensor CausalLinearAttention::absorb(const Tensor& query, const Tensor& key, const Tensor& value,
                                     AttentionState& state) const {
  check_absorb(state);
  state.position = key.size(1);
  const Tensor mapped = ad::unary(key, feature_map_.op);
  ad::causal_linear_absorb(mapped, value, state.tensor(0), state.tensor(1));
  return ad::causal_linear_attention(ad::unary(query, feature_map_.op), mapped, value, {},
                                     kLinearAttentionEps);
}

ad::StepRule CausalLinearAttention::step_rule() const {
  return {.kind = ad::StepRule::Kind::causal_linear,
          .feature_map = feature_map_.op,
          .eps = kLinearAttentionEps};
}

}  // namespace tarn::nn
