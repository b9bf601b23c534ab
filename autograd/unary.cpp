#include "autograd/unary.h"

#include "autograd/check.h"
#include "kernels/table.h"

namespace tarn::ad {
namespace {

using kernels::Table;

class UnaryNode final : public Node {
 public:
  UnaryNode(Tensor saved, Unary op) : saved_(std::move(saved)), op_(op) {}
  const char* name() const override {
    switch (op_) {
      case Unary::identity:
        return "identity";
      case Unary::relu:
        return "relu";
      case Unary::gelu:
        return "gelu";
      case Unary::elu_plus_one:
        return "elu_plus_one";
    }
    return "unary";
  }

  std::vector<SavedTensor> saved() const override {
    return {{kernels::backward_needs_input(op_) ? "x" : "out", saved_}};
  }
  void backward(const Tensor& grad_out, InputGrads& inputs) override {
    const auto [grad_x, beta] = inputs.target(0);
    kernels::run(
        &Table::unary_backward, grad_out.device(),
        {.saved = saved_, .grad_out = grad_out, .grad_x = grad_x, .op = op_, .beta = beta});
  }

 private:
  Tensor saved_;
  Unary op_;
};

}  // namespace

Tensor unary(const Tensor& x, Unary op) {
  const Check check("unary");
  check.floats({{"x", x}});
  if (op == Unary::identity) return x;
  const bool keep_input = kernels::backward_needs_input(op);
  TARN_CHECK_SHAPE(x.rank() >= 1, "unary: x ", x, " must have one dimension or more");
  check.contiguous_rows({{"x", x}});
  if (keep_input) check.contiguous({{"x", x}});
  Tensor out = Tensor::empty_like(x);
  kernels::run(&Table::unary_forward, x.device(), {.x = x, .out = out, .op = op});
  return recorded<UnaryNode>(out, {&x}, keep_input ? x : out, op);
}

}  // namespace tarn::ad
