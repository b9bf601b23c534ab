// A linear layer: x weight^T + bias, of x [..., in] to [..., out]. Parameters: weight [out, in] and
// bias [out], drawn as Init::fan_in has it.
#pragma once

#include "autograd/encoder_step.h"
#include "autograd/linear.h"
#include "nn/module.h"

namespace tarn::nn {

class Linear : public Module {
 public:
  Linear(const Build& build, std::int64_t in, std::int64_t out);
  // With its parameters in memory that the caller chose, beside those of other layers.
  Linear(const Build& build, const Tensor& weight, const Tensor& bias);
  Tensor forward(const Tensor& x, const ad::LinearEpilogue& epilogue = {}) const;
  ad::PackedLinear for_steps(DType storage) const;  // a copy as steps read it

  // The parameters as ops take them.
  Tensor weight() const { return weight_.tensor(); }
  Tensor bias() const { return bias_.tensor(); }

 private:
  ad::Parameter& weight_;
  ad::Parameter& bias_;
};

}  // namespace tarn::nn
