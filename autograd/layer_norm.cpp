#include "autograd/layer_norm.h"

#include "autograd/check.h"
#include "kernels/layer_norm.h"
#include "kernels/table.h"

namespace tarn::ad {
namespace {

using kernels::Table;

class LayerNorm final : public Node {
 public:
  LayerNorm(Tensor sum, Tensor weight, Tensor mean, Tensor rstd, double dropout,
            const RngAddress& address)
      : sum_(std::move(sum)),
        weight_(std::move(weight)),
        mean_(std::move(mean)),
        rstd_(std::move(rstd)),
        dropout_(dropout),
        address_(address) {}
  const char* name() const override { return "layer_norm"; }
  std::vector<SavedTensor> saved() const override {
    return {{"x", sum_}, {"weight", weight_}};  // with a branch, the sum is the node's own
  }

  void backward(const Tensor& grad_out, InputGrads& inputs) override {
    const auto [grad_x, beta_x] = inputs.target(0);
    const auto [grad_branch, beta_branch] = inputs.target(1);
    const auto [grad_weight, beta_weight] = inputs.target(2);
    const auto [grad_bias, beta_bias] = inputs.target(3);
    kernels::run(&Table::layer_norm_backward, sum_.device(),
                 {.sum = sum_,
                  .weight = weight_,
                  .mean = mean_,
                  .rstd = rstd_,
                  .grad_out = grad_out,
                  .grad_x = grad_x,
                  .grad_branch = grad_branch,
                  .grad_weight = grad_weight,
                  .grad_bias = grad_bias,
                  .beta_x = beta_x,
                  .beta_branch = beta_branch,
                  .beta_weight = beta_weight,
                  .beta_bias = beta_bias,
                  .dropout = dropout_,
                  .address = address_});
  }

 private:
  Tensor sum_, weight_, mean_, rstd_;
  double dropout_;
  RngAddress address_;
};

Tensor normalise(const Tensor& x, const Tensor& branch, double dropout, const RngAddress& address,
                 const Tensor& weight, const Tensor& bias, double eps) {
  const Check check("layer_norm");
  check.required({{"weight", weight}, {"bias", bias}});
  check.floats({{"x", x}, {"branch", branch}, {"weight", weight}, {"bias", bias}});
  check.widths({"x", x});
  check.shape({"weight", weight}, {x.size(-1)});
  check.shape({"bias", bias}, {x.size(-1)});
  check.shape({"branch", branch}, x.shape());
  check.contiguous({{"x", x}, {"branch", branch}, {"weight", weight}, {"bias", bias}});
  check.probability(dropout);
  const bool recording = Tape::active() != nullptr;
  const Shape rows{x.elements() / x.size(-1)};
  const auto saved = [&] {
    return recording ? Tensor::empty(rows, x.dtype(), x.device()) : Tensor();
  };
  Tensor out = Tensor::empty_like(x);
  // Without a tape the sum is scaffolding, and may as well lie in the output.
  const Tensor sum = !branch.defined() ? x : recording ? Tensor::empty_like(x) : out;
  const Tensor mean = saved();
  const Tensor rstd = saved();
  kernels::run(&Table::layer_norm_forward, x.device(),
               {.x = x,
                .branch = branch,
                .weight = weight,
                .bias = bias,
                .sum = sum,
                .out = out,
                .mean = mean,
                .rstd = rstd,
                .eps = eps,
                .dropout = dropout,
                .address = address});
  return recorded<LayerNorm>(out, {&x, &branch, &weight, &bias}, sum, weight, mean, rstd, dropout,
                             address);
}

}  // namespace

Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps) {
  return normalise(x, {}, 0, {}, weight, bias, eps);
}

Tensor add_layer_norm(const Tensor& x, const Tensor& branch, double dropout,
                      const RngAddress& address, const Tensor& weight, const Tensor& bias,
                      double eps) {
  Check("add_layer_norm").required({{"branch", branch}});
  return normalise(x, branch, dropout, address, weight, bias, eps);
}

}  // namespace tarn::ad
