#include "nn/attention/causal_linear_attention.h"

#include "autograd/causal_linear_attention.h"
#include "nn/attention/linear_attention.h"

namespace tarn::nn {

Tensor CausalLinearAttention::forward(const ad::Heads& heads, const AttentionMask& mask,
                                      const Pass& /*pass*/) const {
  TARN_CHECK_AS(ConfigError, mask.causal,
                "attention \"causal-linear\" is always causal; use \"linear\" or \"full\"");
  return ad::causal_linear_attention(heads, mask.lengths, kLinearAttentionEps);
}

AttentionState CausalLinearAttention::start(std::int64_t batch, std::int64_t /*capacity*/) const {
  const Shape z{batch, shape_.heads, shape_.query_width};
  return {{{"sum", Tensor::zeros(z.with(shape_.value_width), build().dtype, build().device)},
           {"key_sum", Tensor::zeros(z, build().dtype, build().device)}},
          0};
}

ad::StepRule CausalLinearAttention::step_rule() const {
  return {.kind = ad::StepRule::Kind::causal_linear,
          .feature_map = feature_map_.op,
          .eps = kLinearAttentionEps};
}

Tensor CausalLinearAttention::prefill(const ad::Heads& heads, AttentionState& state) const {
  check_prefill(state);
  state.position = heads.key.size(1);
  ad::causal_linear_attention_prefill(heads, state.tensor(0), state.tensor(1));
  return ad::causal_linear_attention(heads, {}, kLinearAttentionEps);
}

}  // namespace tarn::nn
