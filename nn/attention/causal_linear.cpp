#include "nn/attention/causal_linear.h"

#include "nn/attention/linear.h"

namespace tarn::nn {

Tensor CausalLinearAttention::forward(const ad::Heads& heads, const AttentionMask& mask,
                                      const Pass& /*pass*/) const {
  TARN_CHECK_AS(ConfigError, mask.causal,
                "attention \"causal-linear\" is always causal; use \"linear\" or \"full\"");
  return ad::causal_linear_attention(heads, mask.lengths, kLinearAttentionEps);
}

AttentionState CausalLinearAttention::start(std::int64_t batch, std::int64_t /*capacity*/) const {
  const Shape z{batch, shape_.heads, shape_.query_width};
  return {{Tensor::zeros(z.with(shape_.value_width), build().dtype, build().device),
           Tensor::zeros(z, build().dtype, build().device)},
          0};
}

Tensor CausalLinearAttention::step(const Tensor& query, const Tensor& key, const Tensor& value,
                                   AttentionState& state) const {
  ++state.position;
  return ad::causal_linear_step(query, key, value, state.tensors.at(0), state.tensors.at(1),
                                kLinearAttentionEps);
}

}  // namespace tarn::nn
