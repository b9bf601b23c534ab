#include "autograd/gemm.h"

#include "autograd/check.h"
#include "kernels/table.h"

namespace tarn::ad {

using kernels::Table;

namespace {

// Whether a product can read the rows of a matrix where they lie.
bool rows_apart(const Tensor& matrix) {
  const std::int64_t width = matrix.size(1);
  return (width == 1 || matrix.strides()[1] == 1) && matrix.strides()[0] >= width;
}

}  // namespace

Tensor as_matrix(const Tensor& x) { return x.view({x.elements() / x.size(-1), x.size(-1)}); }

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

void check_compute(const char* op, const Tensor& x, Compute compute) {
  TARN_CHECK_AS(DTypeError, compute == Compute::own_type || x.dtype() == DType::f32, op, ": x ", x,
                " must be f32 for bf16 products");
}

void run_gemm(const kernels::GemmArgs& args) {
  kernels::run(&Table::gemm, args.out.device(), args);
}

void run_epilogue_backward(const kernels::LinearEpilogueBackwardArgs& args) {
  if (!args.grad_bias.defined() && args.activation == kernels::Unary::identity && args.dropout == 0)
    return;
  kernels::run(&Table::linear_epilogue_backward, args.grad.device(), args);
}

}  // namespace tarn::ad
