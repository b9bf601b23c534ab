#include "autograd/linear.h"

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

void run_gemm(kernels::GemmArgs args) {
  const std::int64_t scratch = kernels::gemm_scratch(args);
  if (scratch > 0) args.scratch = Tensor::empty({scratch}, args.out.dtype(), args.out.device());
  kernels::run(&Table::gemm, args.out.device(), args);
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

  void backward(const Tensor& grad_out, InputGrads& inputs) override {
    const Tensor grad = as_matrix(grad_out);
    GradTarget bias;
    if (biased_) bias = inputs.target(2);
    if (bias.tensor.defined() || epilogue_.activation != Unary::identity || epilogue_.dropout > 0) {
      kernels::LinearEpilogueBackwardArgs args{.grad = grad,
                                               .out = out_,
                                               .pre_activation = pre_activation_,
                                               .activation = epilogue_.activation,
                                               .dropout = epilogue_.dropout,
                                               .address = epilogue_.address,
                                               .grad_bias = bias.tensor,
                                               .beta_bias = bias.beta};
      args.scratch =
          Tensor::empty({kernels::linear_epilogue_scratch(args)}, DType::f64, grad.device());
      kernels::run(&Table::linear_epilogue_backward, grad.device(), args);
    }
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

}  // namespace

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias,
              const LinearEpilogue& epilogue) {
  TARN_CHECK_SHAPE(
      weight.rank() == 2 && x.rank() >= 1 && x.size(-1) == weight.size(1) && weight.size(1) > 0,
      "linear: x ", x.shape(), " and weight ", weight.shape(),
      " must be [..., in] and [out, in], with an in above 0");
  TARN_CHECK_SHAPE(!bias.defined() || bias.shape() == Shape{weight.size(0)}, "linear: bias ",
                   bias.shape(), " must be [", weight.size(0), "]");
  const Tensor rows = as_matrix(x);
  TARN_CHECK_SHAPE(
      rows_apart(rows) && rows_apart(weight) && (!bias.defined() || bias.is_contiguous()),
      "linear: the rows of x ", x.shape(), ", weight ", weight.shape(),
      " and the bias must be contiguous");
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

}  // namespace tarn::ad
