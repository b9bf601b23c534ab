// Layer normalisation over the last dimension, with an eps of 1e-5. Parameters: weight [width] of
// ones, bias [width] of zeros.
#pragma once

#include "autograd/encoder_step.h"
#include "core/rng.h"
#include "nn/module.h"

namespace tarn::nn {

class LayerNorm : public Module {
 public:
  LayerNorm(const Build& build, std::int64_t width);
  Tensor forward(const Tensor& x) const;
  // forward(x + dropout(branch)), in one pass.
  Tensor forward_sum(const Tensor& x, const Tensor& branch, double dropout,
                     const RngAddress& address) const;
  ad::NormWeights for_steps() const;  // a copy as steps read it

 private:
  ad::Parameter& weight_;
  ad::Parameter& bias_;
};

}  // namespace tarn::nn
