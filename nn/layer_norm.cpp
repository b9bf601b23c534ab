#include "nn/layer_norm.h"

#include "autograd/layer_norm.h"
#include "core/transfer.h"

namespace tarn::nn {
namespace {

constexpr double kEps = 1e-5;

}  // namespace

LayerNorm::LayerNorm(const Build& build, std::int64_t width)
    : Module(build),
      weight_(parameter("weight", {width}, Init::constant(1))),
      bias_(parameter("bias", {width}, Init::constant(0))) {}

Tensor LayerNorm::forward(const Tensor& x) const {
  return ad::layer_norm(x, weight_.tensor(), bias_.tensor(), kEps);
}

Tensor LayerNorm::forward_sum(const Tensor& x, const Tensor& branch, double dropout,
                              const RngAddress& address) const {
  return ad::add_layer_norm(x, branch, dropout, address, weight_.tensor(), bias_.tensor(), kEps);
}

ad::NormWeights LayerNorm::for_steps() const {
  const auto copy = [](const Tensor& tensor) { return copy_to(tensor, tensor.device()); };
  return {copy(weight_.value()), copy(bias_.value()), kEps};
}

}  // namespace tarn::nn
