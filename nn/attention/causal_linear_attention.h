// Causal linear attention (paper, eqs. 8 to 12; kind "causal-linear"), trained in parallel over
// positions and run as an RNN.
#pragma once

#include "nn/attention/attention.h"
#include "nn/feature_map.h"

namespace tarn::nn {

class CausalLinearAttention : public Attention {
 public:
  CausalLinearAttention(const Build& build, const AttentionOptions& options)
      : Attention(build, "causal-linear"),
        shape_(options.shape),
        feature_map_(find_feature_map(options.feature_map)) {}
  ad::Unary feature_map() const override { return feature_map_.op; }
  Tensor forward(const ad::Heads& heads, const AttentionMask& mask,
                 const Pass& pass) const override;
  // State: sum [N, H, E, M] and key_sum [N, H, E], s and z of eqs. 18 and 19.
  AttentionState start(std::int64_t batch, std::int64_t capacity) const override;
  ad::StepRule step_rule() const override;
  Tensor prefill(const ad::Heads& heads, AttentionState& state) const override;

 private:
  HeadShape shape_;
  const FeatureMap& feature_map_;
};

}  // namespace tarn::nn
