#include "nn/linear.h"

namespace tarn::nn {

Linear::Linear(const Build& build, std::int64_t in, std::int64_t out)
    : Module(build),
      weight_(parameter("weight", {out, in}, Init::fan_in(in))),
      bias_(parameter("bias", {out}, Init::fan_in(in))) {}

Linear::Linear(const Build& build, const Tensor& weight, const Tensor& bias)
    : Module(build),
      weight_(parameter("weight", weight, Init::fan_in(weight.size(1)))),
      bias_(parameter("bias", bias, Init::fan_in(weight.size(1)))) {}

Tensor Linear::forward(const Tensor& x, const ad::LinearEpilogue& epilogue) const {
  return ad::linear(x, weight_.tensor(), bias_.tensor(), epilogue, build().compute);
}

ad::PackedLinear Linear::for_steps(DType storage) const {
  return ad::pack_linear(weight_.value(), bias_.value(), storage);
}

}  // namespace tarn::nn
