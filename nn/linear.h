#pragma once

#include "autograd/linear.h"
#include "nn/module.h"

namespace tarn::nn {

// x weight^T + bias. Parameters: weight [out, in], bias [out].
class Linear : public Module {
 public:
  Linear(const Build& build, std::int64_t in, std::int64_t out);
  Tensor forward(const Tensor& x, const ad::LinearEpilogue& epilogue = {}) const;

 private:
  ad::Parameter& weight_;
  ad::Parameter& bias_;
};

}  // namespace tarn::nn
