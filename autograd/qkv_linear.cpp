#include "autograd/qkv_linear.h"

#include "autograd/check.h"
#include "autograd/gemm.h"
#include "autograd/tape.h"

namespace tarn::ad {
namespace {

// Inputs: x, then weight and bias of each layer.
class QkvLinear final : public Node {
 public:
  QkvLinear(Tensor x, const QkvLayers& layers, Tensor out, Unary activation, Compute compute)
      : x_(std::move(x)),
        weight_(layers.weight),
        outs_{layers.weights[0].size(0), layers.weights[1].size(0), layers.weights[2].size(0)},
        out_(std::move(out)),
        activation_(activation),
        compute_(compute) {}
  const char* name() const override { return "qkv_linear"; }
  std::vector<SavedTensor> saved() const override {
    return {{"x", x_}, {"weight", weight_}, {"out", out_}};
  }

  void backward(const Tensor& grad_out, InputGrads& inputs) override {
    const Tensor grad = as_matrix(grad_out);
    std::int64_t first = 0;
    for (std::size_t i = 0; i < outs_.size(); first += outs_[i++]) {
      const Tensor part = grad.slice(1, first, outs_[i]);
      const GradTarget bias = inputs.target(2 + 2 * i);
      run_epilogue_backward({.grad = part,
                             .out = out_.slice(1, first, outs_[i]),
                             .activation = i < 2 ? activation_ : Unary::identity,
                             .grad_bias = bias.tensor,
                             .beta_bias = bias.beta});
      if (const auto [grad_weight, beta] = inputs.target(1 + 2 * i); grad_weight.defined()) {
        run_gemm({.a = part,
                  .b = x_,
                  .out = grad_weight,
                  .transpose_a = true,
                  .beta = beta,
                  .compute = compute_});
      }
    }
    if (const auto [grad_x, beta] = inputs.target(0); grad_x.defined()) {
      run_gemm(
          {.a = grad, .b = weight_, .out = as_matrix(grad_x), .beta = beta, .compute = compute_});
    }
  }

 private:
  Tensor x_, weight_;
  std::array<std::int64_t, 3> outs_;
  Tensor out_;
  Unary activation_;
  Compute compute_;
};

// What the three layers must be, beyond what linear() asks of the whole.
void check_qkv(const QkvLayers& layers, Unary activation) {
  const Check check("qkv_linear");
  check.required({{"bias", layers.bias}});
  for (std::size_t i = 0; i < layers.weights.size(); ++i) {
    check.alike({{"weight", layers.weight}, {"weights", layers.weights[i]}});
    check.required({{"weights", layers.weights[i]}, {"biases", layers.biases[i]}});
    check.contiguous({{"weights", layers.weights[i]}, {"biases", layers.biases[i]}});
  }
  TARN_CHECK(!kernels::backward_needs_input(activation),
             "qkv_linear: the gradient of this activation needs its input");
  std::int64_t first = 0;
  for (std::size_t i = 0; i < layers.weights.size(); ++i) {
    const Tensor &weight = layers.weights[i], &bias = layers.biases[i];
    TARN_CHECK_SHAPE(weight.rank() == 2 && weight.size(1) == layers.weight.size(1) &&
                         bias.shape() == Shape{weight.size(0)} &&
                         first + weight.size(0) <= layers.weight.size(0) &&
                         weight.raw() == layers.weight.slice(0, first, weight.size(0)).raw() &&
                         bias.raw() == layers.bias.slice(0, first, weight.size(0)).raw(),
                     "qkv_linear: weight ", weight.shape(), " and bias ", bias.shape(),
                     " of layer ", i, " must be windows of ", layers.weight.shape(), " and ",
                     layers.bias.shape(), ", in order");
    first += weight.size(0);
  }
  TARN_CHECK_SHAPE(first == layers.weight.size(0), "qkv_linear: the layers have ", first,
                   " outputs and their weight is ", layers.weight.shape());
}

}  // namespace

Tensor qkv_linear(const Tensor& x, const QkvLayers& layers, Unary activation, Compute compute) {
  check_linear("qkv_linear", x, layers.weight, layers.bias);
  check_compute("qkv_linear", x, compute);
  check_qkv(layers, activation);
  const Tensor rows = as_matrix(x);
  const auto& [query, key, value] = layers.weights;
  Tensor out =
      Tensor::empty(x.shape().without_last().with(layers.weight.size(0)), x.dtype(), x.device());
  run_gemm({.a = rows,
            .b = layers.weight,
            .out = as_matrix(out),
            .transpose_b = true,
            .bias = layers.bias,
            .activation = activation,
            .activated = query.size(0) + key.size(0),
            .compute = compute});
  return recorded<QkvLinear>(
      out, {&x, &query, &layers.biases[0], &key, &layers.biases[1], &value, &layers.biases[2]},
      rows, layers, as_matrix(out), activation, compute);
}

}  // namespace tarn::ad
