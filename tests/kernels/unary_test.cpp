#include "kernels/unary.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <numbers>
#include <string>

#include "kernels/table.h"
#include "tests/support/instruction_sets.h"
#include "tests/support/random_tensor.h"

namespace tarn::kernels {
namespace {

using test::from_vector;
using test::full;
using test::get;

const Device kCpu = Device::cpu();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

Tensor forward(const Tensor& x, Unary op) {
  Tensor out = full(x.shape(), x.dtype(), kNaN);
  run(&Table::unary_forward, kCpu, {.x = x, .out = out, .op = op});
  return out;
}

// f(x) of one number, in the middle of a vector and in its tail.
double value_at(Unary op, double x, DType dtype) {
  const Tensor out = forward(full({33}, dtype, x), op);
  const double value = get(out, 0);
  if (!std::isnan(value)) CHECK(get(out, 32) == doctest::Approx(value).epsilon(1e-6));
  return value;
}

TEST_CASE("elu_plus_one: small values keep their precision in f32") {
  test::for_each_instruction_set([](const std::string& name) {
    CAPTURE(name);
    for (const double x : {-0.001, -1.0, -17.0, -18.0, -30.0, -80.0, -87.0, -87.33}) {
      CAPTURE(x);
      const double expected = std::exp(static_cast<double>(static_cast<float>(x)));
      const double got = value_at(Unary::elu_plus_one, x, DType::f32);
      CHECK(std::abs(got - expected) <= 1e-6 * expected);
      CHECK(got > 0);
    }
    CHECK(value_at(Unary::elu_plus_one, 0, DType::f32) == 1);
    CHECK(value_at(Unary::elu_plus_one, 2.5, DType::f32) == 3.5);
    CHECK(value_at(Unary::elu_plus_one, -1000, DType::f32) == 0);
    for (const double x : {-1.0, -30.0, -300.0, -700.0}) {
      CAPTURE(x);
      CHECK(value_at(Unary::elu_plus_one, x, DType::f64) ==
            doctest::Approx(std::exp(x)).epsilon(1e-14));
    }
  });
}

TEST_CASE("gelu: is x times the normal distribution function, by erf") {
  for (const double x : {-10.0, -3.0, -1.0, -1e-3, 0.0, 1e-3, 0.5, 1.0, 3.0, 10.0}) {
    CAPTURE(x);
    const double expected = x * 0.5 * (1 + std::erf(x / std::numbers::sqrt2));
    CHECK(value_at(Unary::gelu, x, DType::f64) == doctest::Approx(expected).epsilon(1e-13));
    CHECK(std::abs(value_at(Unary::gelu, x, DType::f32) - expected) <= 1e-6 * std::max(1.0, x));
  }
}

TEST_CASE("relu: is x or 0") {
  for (const DType dtype : {DType::f32, DType::f64}) {
    CHECK(value_at(Unary::relu, 2.5, dtype) == 2.5);
    CHECK(value_at(Unary::relu, -2.5, dtype) == 0);
    CHECK(value_at(Unary::relu, 0, dtype) == 0);
  }
}

TEST_CASE("unary: NaN and infinities are not hidden") {
  test::for_each_instruction_set([](const std::string& name) {
    CAPTURE(name);
    for (const DType dtype : {DType::f32, DType::f64}) {
      for (const Unary op : {Unary::identity, Unary::relu, Unary::gelu, Unary::elu_plus_one}) {
        CAPTURE(static_cast<int>(op));
        const Tensor nans = forward(full({33}, dtype, kNaN), op);
        for (std::int64_t i = 0; i < 33; ++i) CHECK(std::isnan(get(nans, i)));
        CHECK(get(forward(full({33}, dtype, kInfinity), op), 0) == kInfinity);
      }
      CHECK(value_at(Unary::elu_plus_one, -kInfinity, dtype) == 0);
      CHECK(value_at(Unary::relu, -kInfinity, dtype) == 0);
    }
  });
}

TEST_CASE("unary: rows may be apart") {
  for (const Unary op : {Unary::identity, Unary::relu, Unary::gelu, Unary::elu_plus_one}) {
    const Tensor wide = test::random_tensor({2, 3, 70}, DType::f32, "wide");
    const Tensor view = wide.transpose(0, 1).slice(2, 3, 63);
    CHECK(test::max_abs_difference(forward(view, op), forward(test::copy_of(view), op)) == 0);
  }
}

TEST_CASE("unary: backward adds grad_out f'(x) to beta times the old") {
  test::for_each_instruction_set([](const std::string& name) {
    CAPTURE(name);
    for (const Unary op : {Unary::identity, Unary::relu, Unary::gelu, Unary::elu_plus_one}) {
      for (const std::int64_t n : {1, 63, 100, 257, 1025}) {
        for (const double beta : {0.0, 1.0, 0.5}) {
          CAPTURE(message(static_cast<int>(op), " ", n, " ", beta));
          const Tensor x = test::random_tensor({n}, DType::f64, "x");
          const Tensor grad_out = test::random_tensor({n}, DType::f64, "grad_out");
          const Tensor grad = beta == 0 ? full({n}, DType::f64, kNaN) : full({n}, DType::f64, 3);
          const Tensor saved = backward_needs_input(op) ? x : forward(x, op);
          run(&Table::unary_backward, kCpu,
              {.saved = saved, .grad_out = grad_out, .grad_x = grad, .op = op, .beta = beta});
          double worst = 0;
          for (std::int64_t i = 0; i < n; ++i) {
            const double above = get(forward(full({1}, DType::f64, get(x, i) + 1e-6), op), 0);
            const double below = get(forward(full({1}, DType::f64, get(x, i) - 1e-6), op), 0);
            const double expected = 3 * beta + get(grad_out, i) * (above - below) / 2e-6;
            const double difference = std::abs(get(grad, i) - expected);
            if (!(difference <= worst)) worst = difference;
          }
          CHECK(worst < 1e-8);
        }
      }
    }
  });
}

}  // namespace
}  // namespace tarn::kernels
