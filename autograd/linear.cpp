#include "autograd/linear.h"

#include "autograd/check.h"
#include "autograd/gemm.h"

namespace tarn::ad {
namespace {

class Linear final : public Node {
 public:
  Linear(Tensor x, Tensor weight, bool biased, Tensor out, Tensor pre_activation,
         const LinearEpilogue& epilogue, Compute compute)
      : x_(std::move(x)),
        weight_(std::move(weight)),
        biased_(biased),
        out_(std::move(out)),
        pre_activation_(std::move(pre_activation)),
        epilogue_(epilogue),
        compute_(compute) {}
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
      run_gemm(
          {.a = grad, .b = weight_, .out = as_matrix(grad_x), .beta = beta, .compute = compute_});
    }
    if (const auto [grad_weight, beta] = inputs.target(1); grad_weight.defined()) {
      run_gemm({.a = grad,
                .b = x_,
                .out = grad_weight,
                .transpose_a = true,
                .beta = beta,
                .compute = compute_});
    }
  }

 private:
  Tensor x_, weight_;
  bool biased_;
  Tensor out_, pre_activation_;
  LinearEpilogue epilogue_;
  Compute compute_;
};

}  // namespace

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias,
              const LinearEpilogue& epilogue, Compute compute) {
  check_linear("linear", x, weight, bias);
  check_compute("linear", x, compute);
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
            .address = epilogue.address,
            .compute = compute});
  const bool keep_output = epilogue.activation != Unary::identity && !keep_input;
  return recorded<Linear>(out, {&x, &weight, &bias}, rows, weight, bias.defined(),
                          keep_output ? as_matrix(out) : Tensor(), pre_activation, epilogue,
                          compute);
}

}  // namespace tarn::ad
