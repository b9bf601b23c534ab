#include "kernels/gemm.h"

#include <doctest/doctest.h>

#include <limits>
#include <string>

#include "kernels/table.h"
#include "tests/reference/ops.h"
#include "tests/support/instruction_sets.h"
#include "tests/support/random_tensor.h"

namespace tarn::kernels {
namespace {

using test::copy_of;
using test::full;
using test::get;
using test::random_tensor;
using test::relative_difference;

const Device kCpu = Device::cpu();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

double tolerance(DType dtype) { return dtype == DType::f32 ? 2e-5 : 1e-12; }

void run_gemm(const GemmArgs& args) { run(&Table::gemm, kCpu, args); }

// beta * out + op(a) op(b), by plain loops.
Tensor naive_gemm(const GemmArgs& args) {
  Tensor product = reference::matmul(args.a, args.b, args.transpose_a, args.transpose_b);
  for (std::int64_t i = 0; i < product.elements() && args.beta != 0; ++i) {
    test::set(product, i, args.beta * get(args.out, i) + get(product, i));
  }
  return product;
}

GemmArgs problem(std::int64_t rows, std::int64_t columns, std::int64_t inner, bool transpose_a,
                 bool transpose_b, double beta, DType dtype) {
  const Shape a = transpose_a ? Shape{inner, rows} : Shape{rows, inner};
  const Shape b = transpose_b ? Shape{columns, inner} : Shape{inner, columns};
  const Shape out{rows, columns};
  return {.a = random_tensor(a, dtype, "a"),
          .b = random_tensor(b, dtype, "b"),
          .out = beta == 0 ? full(out, dtype, kNaN) : random_tensor(out, dtype, "out"),
          .transpose_a = transpose_a,
          .transpose_b = transpose_b,
          .beta = beta};
}

TEST_CASE("gemm: every transposition, beta and odd size") {
  struct Sizes {
    std::int64_t rows, columns, inner;
  };
  const Sizes sizes[] = {{1, 1, 1},     {1, 257, 63}, {63, 100, 257},
                         {257, 1, 100}, {100, 63, 1}, {601, 33, 5}};
  for (const Sizes& s : sizes) {
    for (const int transposed : {0, 1, 2, 3}) {
      for (const double beta : {0.0, 1.0, 0.5}) {
        for (const DType dtype : {DType::f32, DType::f64}) {
          CAPTURE(message(s.rows, " x ", s.columns, " x ", s.inner, " ", transposed, " ", beta));
          const GemmArgs args = problem(s.rows, s.columns, s.inner, (transposed & 1) != 0,
                                        (transposed & 2) != 0, beta, dtype);
          const Tensor expected = naive_gemm(args);
          run_gemm(args);
          CHECK(relative_difference(args.out, expected) < tolerance(dtype));
        }
      }
    }
  }
}

TEST_CASE("gemm: deep products of a transposed a are cut into slabs") {
  for (const std::int64_t inner : {2047, 2048, 3071, 5000, 20011}) {
    for (const double beta : {0.0, 1.0}) {
      for (const DType dtype : {DType::f32, DType::f64}) {
        CAPTURE(inner);
        const GemmArgs args = problem(9, 13, inner, true, false, beta, dtype);
        CHECK((table(DeviceKind::cpu).gemm.scratch_bytes(args) > 0) == (inner >= 2048));
        const Tensor expected = naive_gemm(args);
        run_gemm(args);
        CHECK(relative_difference(args.out, expected) < tolerance(dtype));
      }
    }
  }
}

// A tensor like t inside a wider one; both are returned.
std::pair<Tensor, Tensor> inside_wider(const Tensor& t) {
  const Tensor wide = full({t.size(0), t.size(1) + 5}, t.dtype(), 77);
  const Tensor inner = wide.slice(1, 2, t.size(1));
  for (std::int64_t i = 0; i < t.elements(); ++i) test::set(inner, i, get(t, i));
  return {inner, wide};
}

TEST_CASE("gemm: rows may be apart, and what is between them stays") {
  for (const std::int64_t inner : {63, 2500}) {
    for (const int transposed : {0, 1, 2, 3}) {
      CAPTURE(message(inner, " ", transposed));
      GemmArgs args =
          problem(65, 7, inner, (transposed & 1) != 0, (transposed & 2) != 0, 1, DType::f64);
      const Tensor expected = naive_gemm(args);
      args.a = inside_wider(args.a).first;
      args.b = inside_wider(args.b).first;
      const auto [out, wide] = inside_wider(args.out);
      args.out = out;
      run_gemm(args);
      CHECK(relative_difference(out, expected) < 1e-12);
      for (std::int64_t r = 0; r < 65; ++r) {
        for (const std::int64_t c : {0, 1, 9, 10, 11}) CHECK(get(wide, {r, c}) == 77);
      }
    }
  }
}

struct Epilogue {
  Unary op;
  bool biased;
  double dropout;
};
const std::vector<Epilogue> kEpilogues = [] {
  std::vector<Epilogue> all;
  for (const Unary op : {Unary::identity, Unary::relu, Unary::gelu, Unary::elu_plus_one}) {
    for (const bool biased : {false, true}) {
      for (const double dropout : {0.0, 0.3}) all.push_back({op, biased, dropout});
    }
  }
  return all;
}();
const RngAddress kAddress{11, site_of("gemm"), 5};

TEST_CASE("gemm: the epilogue is bias, activation and dropout") {
  test::for_each_instruction_set([](const std::string& name) {
    CAPTURE(name);
    for (const Epilogue& e : kEpilogues) {
      for (const std::int64_t columns : {1, 63, 257}) {
        for (const DType dtype : {DType::f32, DType::f64}) {
          CAPTURE(message(static_cast<int>(e.op), " ", e.biased, " ", e.dropout, " ", columns));
          const Tensor x = random_tensor({150, 33}, dtype, "x");
          const Tensor weight = random_tensor({columns, 33}, dtype, "weight");
          const Tensor bias = e.biased ? random_tensor({columns}, dtype, "bias") : Tensor();
          const auto [out, wide] = inside_wider(full({150, columns}, dtype, kNaN));
          const bool epilogue = e.op != Unary::identity || e.biased || e.dropout > 0;
          const Tensor before = epilogue ? full({150, columns}, dtype, kNaN) : Tensor();
          run_gemm({.a = x,
                    .b = weight,
                    .out = out,
                    .transpose_b = true,
                    .bias = bias,
                    .activation = e.op,
                    .pre_activation = before,
                    .dropout = e.dropout,
                    .address = kAddress});
          const Tensor expected = reference::linear(x, weight, bias, e.op, e.dropout, kAddress);
          CHECK(relative_difference(out, expected) < tolerance(dtype));
          if (!epilogue) continue;
          CHECK(relative_difference(before, reference::linear(x, weight, bias)) < tolerance(dtype));
        }
      }
    }
  });
}

TEST_CASE("gemm: a product with an epilogue is never cut into slabs") {
  GemmArgs args = problem(3, 5, 5000, true, false, 0, DType::f64);
  args.bias = random_tensor({5}, DType::f64, "bias");
  Tensor expected = naive_gemm(args);
  for (std::int64_t i = 0; i < 15; ++i) {
    test::set(expected, i, get(expected, i) + get(args.bias, i % 5));
  }
  run_gemm(args);
  CHECK(relative_difference(args.out, expected) < 1e-12);
}

// The gradient at an output through dropout and activation, from the value before them.
double derivative(Unary op, double x) {
  switch (op) {
    case Unary::identity:
      return 1;
    case Unary::relu:
      return x > 0 ? 1 : 0;
    case Unary::gelu:
      return 0.5 * std::erfc(-x / std::numbers::sqrt2) +
             x * std::exp(-x * x / 2) * std::numbers::inv_sqrtpi / std::numbers::sqrt2;
    case Unary::elu_plus_one:
      return x > 0 ? 1 : std::exp(x);
  }
  return 0;
}

void check_epilogue_backward(const Epilogue& e, std::int64_t rows, std::int64_t columns,
                             DType dtype, double beta) {
  const Tensor before = random_tensor({rows, columns}, dtype, "before");
  LinearEpilogueBackwardArgs args{.grad = random_tensor({rows, columns}, dtype, "grad"),
                                  .activation = e.op,
                                  .dropout = e.dropout,
                                  .address = kAddress,
                                  .beta_bias = beta};
  if (e.op == Unary::gelu) args.pre_activation = before;
  if (e.op == Unary::relu || e.op == Unary::elu_plus_one) {
    args.out =
        test::cast(reference::dropout(reference::unary(before, e.op), e.dropout, kAddress), dtype);
  }
  Tensor grad = test::cast(args.grad, DType::f64);
  Tensor grad_bias = full({columns}, DType::f64, 0);
  if (e.biased) {
    args.grad_bias = beta == 0 ? full({columns}, dtype, kNaN) : full({columns}, dtype, 3);
    for (std::int64_t c = 0; c < columns; ++c) test::set(grad_bias, c, beta == 0 ? 0 : beta * 3);
  }
  for (std::int64_t i = 0; i < grad.elements(); ++i) {
    test::set(grad, i,
              get(grad, i) * derivative(e.op, get(before, i)) *
                  reference::dropout_factor(e.dropout, kAddress, i));
    test::set(grad_bias, i % columns, get(grad_bias, i % columns) + get(grad, i));
  }
  run(&Table::linear_epilogue_backward, kCpu, args);
  CHECK(relative_difference(args.grad, grad) < tolerance(dtype));
  if (e.biased) CHECK(relative_difference(args.grad_bias, grad_bias) < tolerance(dtype));
}

TEST_CASE("linear_epilogue_backward: goes back through dropout, activation and bias") {
  test::for_each_instruction_set([](const std::string& name) {
    CAPTURE(name);
    for (const Epilogue& e : kEpilogues) {
      for (const DType dtype : {DType::f32, DType::f64}) {
        CAPTURE(message(static_cast<int>(e.op), " ", e.biased, " ", e.dropout));
        check_epilogue_backward(e, 1, 63, dtype, 0);
        check_epilogue_backward(e, 100, 257, dtype, 1);
        check_epilogue_backward(e, 257, 1, dtype, 0.5);
      }
    }
  });
  check_epilogue_backward({Unary::relu, true, 0.3}, 5001, 3, DType::f32, 1);
}

}  // namespace
}  // namespace tarn::kernels
