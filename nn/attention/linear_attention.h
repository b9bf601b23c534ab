// Linear attention without a causal mask (paper, eqs. 4 to 6; kind "linear"): every query sees
// every key.
#pragma once

#include "nn/attention/attention.h"
#include "nn/feature_map.h"

namespace tarn::nn {

// What both linear attentions add to the denominator, as the authors' code does.
inline constexpr double kLinearAttentionEps = 1e-6;

class LinearAttention : public Attention {
 public:
  LinearAttention(const Build& build, const AttentionOptions& options)
      : Attention(build, "linear"), feature_map_(find_feature_map(options.feature_map)) {}
  ad::Unary feature_map() const override { return feature_map_.op; }
  Tensor forward(const ad::Heads& heads, const AttentionMask& mask,
                 const Pass& pass) const override;

 private:
  const FeatureMap& feature_map_;
};

}  // namespace tarn::nn
