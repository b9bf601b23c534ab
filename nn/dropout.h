#pragma once

#include "autograd/dropout.h"
#include "nn/module.h"

namespace tarn::nn {

// Dropout as a module of its own, with its name as the site of its random numbers. Inside the
// encoder it is fused with its neighbours instead.
class Dropout : public Module {
 public:
  Dropout(const Build& build, double probability) : Module(build), probability_(probability) {}
  Tensor forward(const Tensor& x, const Pass& pass) const {
    return pass.training ? ad::dropout(x, probability_, address(pass, "mask")) : x;
  }

 private:
  double probability_;
};

}  // namespace tarn::nn
