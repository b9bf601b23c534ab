#include "kernels/layer_norm.h"

#include <doctest/doctest.h>

#include <limits>
#include <string>

#include "kernels/table.h"
#include "tests/reference/ops.h"
#include "tests/support/instruction_sets.h"
#include "tests/support/random_tensor.h"

namespace tarn::kernels {
namespace {

using test::full;
using test::get;
using test::max_abs_difference;
using test::random_tensor;
using test::relative_difference;

const Device kCpu = Device::cpu();
const RngAddress kAddress{11, site_of("layer_norm"), 5};
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kEps = 1e-5;

double tolerance(DType dtype) { return dtype == DType::f32 ? 1e-5 : 1e-12; }

struct Problem {
  Problem(std::int64_t rows, std::int64_t width, bool branched, double dropout_, DType dtype)
      : x(random_tensor({rows, width}, dtype, "x")),
        branch(branched ? random_tensor({rows, width}, dtype, "branch") : Tensor()),
        weight(random_tensor({width}, dtype, "weight")),
        bias(random_tensor({width}, dtype, "bias")),
        sum(branched ? full({rows, width}, dtype, kNaN) : Tensor()),
        out(full({rows, width}, dtype, kNaN)),
        mean(full({rows}, dtype, kNaN)),
        rstd(full({rows}, dtype, kNaN)),
        dropout(dropout_) {}

  void forward() const {
    run(&Table::layer_norm_forward, kCpu,
        {.x = x,
         .branch = branch,
         .weight = weight,
         .bias = bias,
         .sum = sum,
         .out = out,
         .mean = mean,
         .rstd = rstd,
         .eps = kEps,
         .dropout = dropout,
         .address = kAddress});
  }
  reference::LayerNorm expected() const {
    return reference::layer_norm(x, branch, weight, bias, kEps, dropout, kAddress);
  }

  Tensor x, branch, weight, bias, sum, out, mean, rstd;
  double dropout;
};

// Sets gradients to beta times what they hold, plus those of the definition.
struct Gradients {
  Tensor x, branch, weight, bias;
};
Gradients naive_gradients(const Problem& p, const Tensor& grad_out, const Gradients& old,
                          double beta) {
  const reference::LayerNorm norm = p.expected();
  const std::int64_t rows = p.x.size(0), width = p.x.size(1);
  const auto scaled = [&](const Tensor& t) {
    Tensor copy = test::cast(t, DType::f64);
    for (std::int64_t i = 0; i < t.elements(); ++i) {
      test::set(copy, i, beta == 0 ? 0 : beta * get(t, i));
    }
    return copy;
  };
  Gradients grads{scaled(old.x), scaled(old.branch), scaled(old.weight), scaled(old.bias)};
  const auto add = [](const Tensor& t, std::int64_t i, double value) {
    test::set(t, i, get(t, i) + value);
  };
  for (std::int64_t r = 0; r < rows; ++r) {
    const auto normal = [&](std::int64_t i) {
      return (get(norm.sum, {r, i}) - get(norm.mean, r)) * get(norm.rstd, r);
    };
    double mean = 0, mean_grad_normal = 0;
    for (std::int64_t i = 0; i < width; ++i) {
      const double g = get(grad_out, {r, i});
      mean += g * get(p.weight, i) / static_cast<double>(width);
      mean_grad_normal += g * get(p.weight, i) * normal(i) / static_cast<double>(width);
      add(grads.weight, i, g * normal(i));
      add(grads.bias, i, g);
    }
    for (std::int64_t i = 0; i < width; ++i) {
      const double g = get(grad_out, {r, i}) * get(p.weight, i);
      const double d = get(norm.rstd, r) * (g - mean - normal(i) * mean_grad_normal);
      const std::int64_t flat = r * width + i;
      add(grads.x, flat, d);
      add(grads.branch, flat, d * reference::dropout_factor(p.dropout, kAddress, flat));
    }
  }
  return grads;
}

TEST_CASE("layer_norm: forward is the definition") {
  test::for_each_instruction_set([](const std::string& name) {
    CAPTURE(name);
    for (const DType dtype : {DType::f32, DType::f64}) {
      for (const std::int64_t width : {2, 63, 100, 257}) {
        for (const double dropout : {-1.0, 0.0, 0.3}) {  // negative: no branch
          CAPTURE(message(name_of(dtype), " ", width, " ", dropout));
          const Problem p(100, width, dropout >= 0, std::max(dropout, 0.0), dtype);
          p.forward();
          const reference::LayerNorm expected = p.expected();
          CHECK(relative_difference(p.out, expected.out) < tolerance(dtype));
          CHECK(relative_difference(p.mean, expected.mean) < tolerance(dtype));
          CHECK(relative_difference(p.rstd, expected.rstd) < 20 * tolerance(dtype));
          if (p.sum.defined()) CHECK(relative_difference(p.sum, expected.sum) < tolerance(dtype));
        }
      }
    }
  });
}

TEST_CASE("layer_norm: a width of one normalises to the bias") {
  const Problem p(5, 1, false, 0, DType::f32);
  p.forward();
  for (std::int64_t r = 0; r < 5; ++r) CHECK(get(p.out, r) == get(p.bias, 0));
}

TEST_CASE("layer_norm: the variance survives a large mean in f32") {
  Problem p(20, 100, false, 0, DType::f32);
  for (std::int64_t i = 0; i < p.x.elements(); ++i) test::set(p.x, i, 1000 + get(p.x, i));
  p.forward();
  CHECK(relative_difference(p.out, p.expected().out) < 1e-3);  // x itself is off by 6e-5
}

TEST_CASE("layer_norm: the sum may lie in the output, and the statistics be left out") {
  Problem p(70, 63, true, 0.3, DType::f32);
  p.forward();
  const Tensor out = p.out;
  p.out = full({70, 63}, DType::f32, kNaN);
  p.sum = p.out;
  p.mean = p.rstd = Tensor();
  p.forward();
  CHECK(max_abs_difference(p.out, out) == 0);
}

void check_backward(std::int64_t rows, std::int64_t width, bool branched, double dropout,
                    DType dtype, double beta) {
  CAPTURE(message(name_of(dtype), " ", rows, " ", width, " ", branched, " ", dropout, " ", beta));
  const Problem p(rows, width, branched, dropout, dtype);
  p.forward();
  const Tensor grad_out = random_tensor({rows, width}, dtype, "grad_out");
  const auto old = [&](const Shape& shape, const char* name) {
    return beta == 0 ? full(shape, dtype, kNaN) : random_tensor(shape, dtype, name);
  };
  const Gradients grads{old({rows, width}, "old x"), old({rows, width}, "old branch"),
                        old({width}, "old weight"), old({width}, "old bias")};
  const Gradients expected = naive_gradients(p, grad_out, grads, beta);
  LayerNormBackwardArgs args{.sum = branched ? p.sum : p.x,
                             .weight = p.weight,
                             .mean = p.mean,
                             .rstd = p.rstd,
                             .grad_out = grad_out,
                             .grad_x = grads.x,
                             .grad_branch = branched ? grads.branch : Tensor(),
                             .grad_weight = grads.weight,
                             .grad_bias = grads.bias,
                             .beta_x = beta,
                             .beta_branch = beta,
                             .beta_weight = beta,
                             .beta_bias = beta,
                             .dropout = dropout,
                             .address = kAddress};
  run(&Table::layer_norm_backward, kCpu, args);
  const double limit = 5 * tolerance(dtype);
  CHECK(relative_difference(grads.x, expected.x) < limit);
  if (branched) CHECK(relative_difference(grads.branch, expected.branch) < limit);
  CHECK(relative_difference(grads.weight, expected.weight) < limit);
  CHECK(relative_difference(grads.bias, expected.bias) < limit);
}

TEST_CASE("layer_norm: backward is the definition's") {
  test::for_each_instruction_set([](const std::string& name) {
    CAPTURE(name);
    for (const DType dtype : {DType::f32, DType::f64}) {
      for (const std::int64_t width : {3, 63, 257}) {
        check_backward(70, width, false, 0, dtype, 0);
        check_backward(70, width, true, 0, dtype, 1);
        check_backward(70, width, true, 0.3, dtype, 0);
        check_backward(1, width, true, 0.3, dtype, 1);
      }
    }
  });
  check_backward(4999, 3, true, 0.3, DType::f32, 1);  // chunks of more rows
}

TEST_CASE("layer_norm: each gradient is computed alone as together") {
  const Problem p(70, 63, true, 0.3, DType::f32);
  p.forward();
  LayerNormBackwardArgs all{.sum = p.sum,
                            .weight = p.weight,
                            .mean = p.mean,
                            .rstd = p.rstd,
                            .grad_out = random_tensor({70, 63}, DType::f32, "grad_out"),
                            .grad_x = full({70, 63}, DType::f32, kNaN),
                            .grad_branch = full({70, 63}, DType::f32, kNaN),
                            .grad_weight = full({63}, DType::f32, kNaN),
                            .grad_bias = full({63}, DType::f32, kNaN),
                            .dropout = 0.3,
                            .address = kAddress};
  run(&Table::layer_norm_backward, kCpu, all);
  using Field = Tensor LayerNormBackwardArgs::*;
  const Field fields[] = {&LayerNormBackwardArgs::grad_x, &LayerNormBackwardArgs::grad_branch,
                          &LayerNormBackwardArgs::grad_weight, &LayerNormBackwardArgs::grad_bias};
  for (const Field field : fields) {
    LayerNormBackwardArgs one = all;
    for (const Field other : fields) one.*other = Tensor();
    one.*field = full((all.*field).shape(), DType::f32, kNaN);
    run(&Table::layer_norm_backward, kCpu, one);
    CHECK(max_abs_difference(one.*field, all.*field) == 0);
  }
}

}  // namespace
}  // namespace tarn::kernels
