#include "kernels/logistic_mixture.h"

#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <limits>

#include "core/io/safetensors.h"
#include "kernels/table.h"
#include "tests/reference/logistic_mixture.h"
#include "tests/support/paths.h"

namespace tarn::kernels {
namespace {

using test::from_vector;
using test::full;
using test::get;
using test::relative_difference;

const Device kCpu = Device::cpu();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

float scaled(std::int64_t pixel) { return static_cast<float>(pixel) / 255.0F * 2.0F - 1.0F; }

struct Problem {
  Problem(const Tensor& p, const Tensor& t) : parameters(p), targets(t) {}

  void run_forward(bool with_gradient = true) {
    totals = full({2}, DType::f64, kNaN);
    loss = full({}, parameters.dtype(), kNaN);
    gradient = with_gradient ? full(parameters.shape(), parameters.dtype(), kNaN) : Tensor();
    LogisticMixtureForwardArgs args{
        .parameters = parameters, .targets = targets, .totals = totals, .loss = loss};
    args.gradient = gradient;
    run(&Table::logistic_mixture_forward, kCpu, args);
  }

  // Against the reference; f32 parameters are compared as the f32 numbers that they are.
  void check(double tolerance) {
    run_forward();
    const auto expected = reference::logistic_mixture(parameters, targets);
    CHECK(relative_difference(totals, expected.totals) < 1e-12);
    CHECK(relative_difference(loss, expected.loss) < tolerance);
    CHECK(relative_difference(gradient, expected.grad) < tolerance);
    const double loss_before = get(loss, 0);
    run_forward(false);
    CHECK(get(loss, 0) == loss_before);
  }

  Tensor parameters, targets, totals, loss, gradient;
};

// Rows of random parameters; the log-scales are about `log_scale`, the means `spread` times normal.
Problem random_problem(std::int64_t rows, std::int64_t mixtures, DType dtype, double log_scale,
                       double spread) {
  Problem p(test::random_tensor({rows, 3, mixtures}, dtype, "parameters"),
            Tensor::empty({rows}, DType::f32, kCpu));
  constexpr std::int64_t kEdges[] = {0, 1, 254, 255};
  for (std::int64_t r = 0; r < rows; ++r) {
    const std::int64_t pixel = r < 4 ? kEdges[r] : r * 85 % 256;
    test::set(p.targets, r, static_cast<double>(scaled(pixel)));
    for (std::int64_t k = 0; k < mixtures; ++k) {
      test::set(p.parameters, {r, 1, k}, spread * get(p.parameters, {r, 1, k}));
      test::set(p.parameters, {r, 2, k}, log_scale + get(p.parameters, {r, 2, k}));
    }
  }
  p.parameters = p.parameters.view({rows, 3 * mixtures});
  return p;
}

TEST_CASE("logistic_mixture: loss and gradient are the definition's") {
  for (const DType dtype : {DType::f32, DType::f64}) {
    for (const std::int64_t rows : {1, 63, 257}) {  // chunks of 256
      for (const std::int64_t mixtures : {1, 3, 10}) {
        CAPTURE(message(name_of(dtype), " ", rows, " ", mixtures));
        random_problem(rows, mixtures, dtype, -3, 1).check(dtype == DType::f32 ? 1e-6 : 1e-12);
      }
    }
  }
}

TEST_CASE("logistic_mixture: log-scales of -20 to 10, means inside and far outside") {
  for (double log_scale = -20; log_scale <= 10; log_scale += 2) {
    for (const double spread : {0.1, 1.0, 100.0}) {
      CAPTURE(message("log-scale ", log_scale, " spread ", spread));
      random_problem(100, 10, DType::f64, log_scale, spread).check(1e-12);
    }
  }
}

// The loss of one value under one component.
double loss_of(std::int64_t pixel, double mean, double log_scale) {
  Problem p(from_vector({1, 3}, {0, mean, log_scale}), full({1}, DType::f32, 0));
  test::set(p.targets, 0, static_cast<double>(scaled(pixel)));
  p.run_forward(false);
  return get(p.loss, 0);
}

TEST_CASE("logistic_mixture: the outermost values take all that is beyond them") {
  // At the outermost values the mass is sigmoid(+-(y - mean +- 1 / 255) / scale); their neighbours
  // have a bin like all others.
  CHECK(loss_of(0, -5, 0) == doctest::Approx(std::log1p(std::exp(-4 - 1.0 / 255))));
  CHECK(loss_of(255, 5, 0) == doctest::Approx(std::log1p(std::exp(-4 - 1.0 / 255))));
  for (const double log_scale : {-7.0, -4.0, -1.0}) {
    double total = 0;
    for (std::int64_t pixel = 0; pixel < 256; ++pixel) {
      total += std::exp(-loss_of(pixel, 0.3, log_scale));
    }
    CAPTURE(log_scale);
    CHECK(total == doctest::Approx(1).epsilon(1e-4));  // where the density stands in for a mass
  }
  CHECK(loss_of(1, 0, -1) == doctest::Approx(loss_of(254, 0, -1)));
  CHECK(loss_of(1, -5, 0) > loss_of(0, -5, 0) + 3);
}

TEST_CASE("logistic_mixture: below the floor a log-scale counts as -7 and has no gradient") {
  CHECK(loss_of(100, -0.2, -7) == loss_of(100, -0.2, -20));
  CHECK(loss_of(100, -0.2, -7) != loss_of(100, -0.2, -6.9));
  Problem p(from_vector({2, 3}, {0, -0.2, -7, 0, -0.2, -7.001}), full({2}, DType::f32, -0.25));
  p.run_forward();
  CHECK(get(p.gradient, 2) != 0);
  CHECK(get(p.gradient, 5) == 0);
  CHECK(get(p.gradient, 1) == get(p.gradient, 4));
}

// Each of these in each place, for values in the middle and at both ends.
TEST_CASE("logistic_mixture: every finite input gives finite results") {
  for (const DType dtype : {DType::f32, DType::f64}) {
    const double most = dtype == DType::f32 ? std::numeric_limits<float>::max()
                                            : std::numeric_limits<double>::max();
    const double least = dtype == DType::f32 ? std::numeric_limits<float>::denorm_min()
                                             : std::numeric_limits<double>::denorm_min();
    const std::vector<double> values = {0,  least, 1e-7, 0.5, 1,    7,    20,
                                        90, 710,   1e5,  1e9, 1e20, 1e38, most};
    std::vector<double> all;
    for (const double value : values) all.insert(all.end(), {value, -value});
    std::vector<double> parameters, targets;
    for (const double logit : all) {
      for (const double mean : all) {
        for (const double log_scale : all) {
          parameters.insert(parameters.end(), {logit, 0.3, mean, 0.1, log_scale, -3});
          const std::int64_t pixels[] = {0, 1, 127, 254, 255};
          targets.push_back(static_cast<double>(scaled(pixels[targets.size() % 5])));
        }
      }
    }
    const auto rows = static_cast<std::int64_t>(targets.size());
    Problem p(from_vector({rows, 6}, parameters, dtype), from_vector({rows}, targets, DType::f32));
    p.run_forward();
    CHECK(std::isfinite(get(p.totals, 0)));
    CHECK(std::isfinite(get(p.loss, 0)));
    CHECK(std::isfinite(test::max_abs(p.gradient)));
  }
}

TEST_CASE("logistic_mixture: a NaN shows in the loss") {
  for (const std::int64_t place : {0, 1, 2, 3, 4, 5}) {
    CAPTURE(place);
    Problem p(full({1, 6}, DType::f32, 0.5), full({1}, DType::f32, 0.25));
    test::set(p.parameters, place, kNaN);
    p.run_forward();
    CHECK(std::isnan(get(p.loss, 0)));
  }
}

TEST_CASE("logistic_mixture: the gradient is scaled and added") {
  for (const DType dtype : {DType::f32, DType::f64}) {
    const Tensor gradient = test::random_tensor({63, 30}, dtype, "gradient");
    const Tensor grad = full(gradient.shape(), dtype, kNaN);
    const auto backward = [&](double grad_loss, double beta) {
      run(&Table::logistic_mixture_backward, kCpu,
          {.gradient = gradient,
           .grad_loss = full({}, dtype, grad_loss),
           .grad_parameters = grad,
           .beta = beta});
    };
    backward(1, 0);
    CHECK(test::max_abs_difference(grad, gradient) == 0);
    backward(2, 0.5);
    for (std::int64_t i = 0; i < gradient.elements(); ++i) test::set(grad, i, get(grad, i) / 2.5);
    CHECK(relative_difference(grad, gradient) < 1e-6);
  }
}

// One of the golden file's sequences: [3, 30, 48] as rows of [logits | means | log-scales].
class Golden {
 public:
  Golden() : file_(test::source_dir() / "tests" / "golden" / "dmll.safetensors") {}

  Tensor read(const char* name, DType dtype) const { return test::cast(file_.read(name), dtype); }
  Tensor rows(const char* name, DType dtype) const {
    return test::cast(file_.read(name).transpose(1, 2), dtype).view({3 * 48, 30});
  }
  Problem problem(DType dtype) const {
    return {rows("y_hat", dtype), read("y", DType::f32).view({3 * 48})};
  }

 private:
  SafetensorsFile file_;
};

// They subtract two sigmoids, which leaves 11 digits of a mass just above 1e-5.
constexpr double kTheirs = 1e-10;

TEST_CASE("logistic_mixture: the authors' loss and gradient") {
  const Golden golden;
  Problem f64 = golden.problem(DType::f64);
  f64.run_forward();
  CHECK(relative_difference(f64.loss, golden.read("f64.loss_mean", DType::f64)) < 1e-12);
  CHECK(relative_difference(f64.gradient, golden.rows("f64.grad_of_mean", DType::f64)) < kTheirs);
  Problem f32 = golden.problem(DType::f32);
  f32.run_forward();
  CHECK(relative_difference(f32.loss, golden.read("loss_mean", DType::f32)) < 1e-6);
  CHECK(relative_difference(f32.gradient, golden.rows("grad_of_mean", DType::f32)) < 1e-5);
}

TEST_CASE("logistic_mixture: the authors' loss of each value, and its gradient times a weight") {
  const Golden golden;
  const Problem all = golden.problem(DType::f64);
  const Tensor losses = golden.read("f64.loss", DType::f64);
  const Tensor weights = golden.read("f64.weights", DType::f64);
  const Tensor expected = golden.rows("f64.grad_weighted", DType::f64);
  double loss_error = 0, grad_error = 0;
  for (std::int64_t i = 0; i < 3 * 48; ++i) {
    Problem one(all.parameters.slice(0, i, 1), all.targets.slice(0, i, 1));
    one.run_forward();
    loss_error = std::max(loss_error, std::abs(get(one.loss, 0) - get(losses, i)));
    const Tensor grad = full({1, 30}, DType::f64, kNaN);
    run(&Table::logistic_mixture_backward, kCpu,
        {.gradient = one.gradient,
         .grad_loss = full({}, DType::f64, get(weights, i)),
         .grad_parameters = grad});
    grad_error = std::max(grad_error, test::max_abs_difference(grad, expected.slice(0, i, 1)));
  }
  CHECK(loss_error < kTheirs);
  CHECK(grad_error < kTheirs * test::max_abs(expected));
  MESSAGE("losses within ", loss_error, ", gradients within ", grad_error);
}

}  // namespace
}  // namespace tarn::kernels
