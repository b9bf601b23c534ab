#pragma once

#include "nn/attention/attention.h"

namespace tarn::nn {

// Softmax attention (eq. 2).
class FullAttention : public Attention {
 public:
  FullAttention(const Build& build, const AttentionOptions& options);
  Tensor forward(const ad::Heads& heads, const AttentionMask& mask,
                 const Pass& pass) const override;
  // State: the keys [N, capacity, H, E] and the values [N, capacity, H, M] so far.
  AttentionState start(std::int64_t batch, std::int64_t capacity) const override;
  Tensor step(const Tensor& query, const Tensor& key, const Tensor& value,
              AttentionState& state) const override;

 private:
  HeadShape shape_;
  double scale_;
  double dropout_;
};

}  // namespace tarn::nn
