#include "autograd/linear.h"

#include "autograd/check.h"
#include "kernels/gemm.h"
#include "kernels/table.h"

namespace tarn::ad {
namespace {

using kernels::Table;

Tensor as_matrix(const Tensor& x) { return x.view({x.elements() / x.size(-1), x.size(-1)}); }

// Whether a product can read the rows of a matrix where they lie.
bool rows_apart(const Tensor& matrix) {
  const std::int64_t width = matrix.size(1);
  return (width == 1 || matrix.strides()[1] == 1) && matrix.strides()[0] >= width;
}

void run_gemm(const kernels::GemmArgs& args) {
  kernels::run(&Table::gemm, args.out.device(), args);
}

// Does nothing where the epilogue leaves nothing to do.
void run_epilogue_backward(const kernels::LinearEpilogueBackwardArgs& args) {
  if (!args.grad_bias.defined() && args.activation == Unary::identity && args.dropout == 0) return;
  kernels::run(&Table::linear_epilogue_backward, args.grad.device(), args);
}

class Linear final : public Node {
 public:
  Linear(Tensor x, Tensor weight, bool biased, Tensor out, Tensor pre_activation,
         const LinearEpilogue& epilogue)
      : x_(std::move(x)),
        weight_(std::move(weight)),
        biased_(biased),
        out_(std::move(out)),
        pre_activation_(std::move(pre_activation)),
        epilogue_(epilogue) {}
  const char* name() const override { return "linear"; }
  std::vector<SavedTensor> saved() const override {
    return {{"x", x_}, {"weight", weight_}, {"out", out_}};
  }

  void backward(const Tensor& grad_out, InputGrads& inputs) override {
    const Tensor grad = as_matrix(grad_out);
    GradTarget bias;
    if (biased_) bias = inputs.target(2);
    run_epilogue_backward({.grad = grad,
                           .out = out_,
                           .pre_activation = pre_activation_,
                           .activation = epilogue_.activation,
                           .dropout = epilogue_.dropout,
                           .address = epilogue_.address,
                           .grad_bias = bias.tensor,
                           .beta_bias = bias.beta});
    if (const auto [grad_x, beta] = inputs.target(0); grad_x.defined()) {
      run_gemm({.a = grad, .b = weight_, .out = as_matrix(grad_x), .beta = beta});
    }
    if (const auto [grad_weight, beta] = inputs.target(1); grad_weight.defined()) {
      run_gemm({.a = grad, .b = x_, .out = grad_weight, .transpose_a = true, .beta = beta});
    }
  }

 private:
  Tensor x_, weight_;
  bool biased_;
  Tensor out_, pre_activation_;
  LinearEpilogue epilogue_;
};

// Inputs: x, then weight and bias of each layer.
class JointLinear final : public Node {
 public:
  JointLinear(Tensor x, const JointLayers& layers, Tensor out, Unary activation)
      : x_(std::move(x)),
        weight_(layers.weight),
        outs_{layers.weights[0].size(0), layers.weights[1].size(0), layers.weights[2].size(0)},
        out_(std::move(out)),
        activation_(activation) {}
  const char* name() const override { return "joint_linear"; }
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
        run_gemm({.a = part, .b = x_, .out = grad_weight, .transpose_a = true, .beta = beta});
      }
    }
    if (const auto [grad_x, beta] = inputs.target(0); grad_x.defined()) {
      run_gemm({.a = grad, .b = weight_, .out = as_matrix(grad_x), .beta = beta});
    }
  }

 private:
  Tensor x_, weight_;
  std::array<std::int64_t, 3> outs_;
  Tensor out_;
  Unary activation_;
};

// What the three layers must be, beyond what linear() asks of the whole.
void check_joint(const JointLayers& layers, Unary activation) {
  const Check check("joint_linear");
  check.required({{"bias", layers.bias}});
  for (std::size_t i = 0; i < layers.weights.size(); ++i) {
    check.alike({{"weight", layers.weight}, {"weights", layers.weights[i]}});
    check.required({{"weights", layers.weights[i]}, {"biases", layers.biases[i]}});
    check.contiguous({{"weights", layers.weights[i]}, {"biases", layers.biases[i]}});
  }
  TARN_CHECK(!kernels::backward_needs_input(activation),
             "joint_linear: the gradient of this activation needs its input");
  std::int64_t first = 0;
  for (std::size_t i = 0; i < layers.weights.size(); ++i) {
    const Tensor &weight = layers.weights[i], &bias = layers.biases[i];
    TARN_CHECK_SHAPE(weight.rank() == 2 && weight.size(1) == layers.weight.size(1) &&
                         bias.shape() == Shape{weight.size(0)} &&
                         first + weight.size(0) <= layers.weight.size(0) &&
                         weight.raw() == layers.weight.slice(0, first, weight.size(0)).raw() &&
                         bias.raw() == layers.bias.slice(0, first, weight.size(0)).raw(),
                     "joint_linear: weight ", weight.shape(), " and bias ", bias.shape(),
                     " of layer ", i, " must be windows of ", layers.weight.shape(), " and ",
                     layers.bias.shape(), ", in order");
    first += weight.size(0);
  }
  TARN_CHECK_SHAPE(first == layers.weight.size(0), "joint_linear: the layers have ", first,
                   " outputs and their weight is ", layers.weight.shape());
}

void check_linear(const char* op, const Tensor& x, const Tensor& weight, const Tensor& bias) {
  const Check check(op);
  check.required({{"weight", weight}});
  check.floats({{"x", x}, {"weight", weight}, {"bias", bias}});
  check.rank({"weight", weight}, 2, "[out, in]");
  check.widths({"weight", weight}, 2);
  TARN_CHECK_SHAPE(x.rank() >= 1 && x.size(-1) == weight.size(1), op, ": x ", x, " and weight ",
                   weight, " must be [..., in] and [out, in]");
  check.shape({"bias", bias}, {weight.size(0)});
  TARN_CHECK_SHAPE(
      rows_apart(as_matrix(x)) && rows_apart(weight) && (!bias.defined() || bias.is_contiguous()),
      op, ": the rows of x ", x.shape(), ", weight ", weight.shape(),
      " and the bias must be contiguous");
}

}  // namespace

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias,
              const LinearEpilogue& epilogue) {
  check_linear("linear", x, weight, bias);
  Check("linear").probability(epilogue.dropout);
  const Tensor rows = as_matrix(x);
  const std::int64_t features = weight.size(0);
  Tensor out = Tensor::empty(x.shape().without_last().with(features), x.dtype(), x.device());
  const bool keep_input = kernels::backward_needs_input(epilogue.activation);
  const Tensor pre_activation = keep_input && Tape::active() != nullptr
                                    ? Tensor::empty({rows.size(0), features}, x.dtype(), x.device())
                                    : Tensor();
  run_gemm({.a = rows,
            .b = weight,
            .out = as_matrix(out),
            .transpose_b = true,
            .bias = bias,
            .activation = epilogue.activation,
            .pre_activation = pre_activation,
            .dropout = epilogue.dropout,
            .address = epilogue.address});
  const bool keep_output = epilogue.activation != Unary::identity && !keep_input;
  return recorded<Linear>(out, {&x, &weight, &bias}, rows, weight, bias.defined(),
                          keep_output ? as_matrix(out) : Tensor(), pre_activation, epilogue);
}

Tensor joint_linear(const Tensor& x, const JointLayers& layers, Unary activation) {
  check_linear("joint_linear", x, layers.weight, layers.bias);
  check_joint(layers, activation);
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
            .activated = query.size(0) + key.size(0)});
  return recorded<JointLinear>(
      out, {&x, &query, &layers.biases[0], &key, &layers.biases[1], &value, &layers.biases[2]},
      rows, layers, as_matrix(out), activation);
}

}  // namespace tarn::ad
