// Softmax attention (paper, eq. 2; kind "full"), causal or not.
#pragma once

#include "nn/attention/attention.h"

namespace tarn::nn {

class SoftmaxAttention : public Attention {
 public:
  SoftmaxAttention(const Build& build, const AttentionOptions& options);
  Tensor forward(const ad::Heads& heads, const AttentionMask& mask,
                 const Pass& pass) const override;
  // State: the keys [N, H, capacity, E] and the values [N, H, capacity, M] so far.
  AttentionState start(std::int64_t batch, std::int64_t capacity) const override;
  ad::StepRule step_rule() const override;
  Tensor prefill(const ad::Heads& heads, AttentionState& state) const override;

 private:
  HeadShape shape_;
  double scale_;
  double dropout_;
};

}  // namespace tarn::nn
