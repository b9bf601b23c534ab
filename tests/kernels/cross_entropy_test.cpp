#include "kernels/cross_entropy.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "kernels/table.h"
#include "tests/reference/ops.h"
#include "tests/support/random_tensor.h"

namespace tarn::kernels {
namespace {

using test::from_vector;
using test::full;
using test::get;
using test::random_tensor;
using test::relative_difference;

const Device kCpu = Device::cpu();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

struct Problem {
  Problem(std::int64_t rows, std::int64_t classes, DType dtype)
      : logits(random_tensor({rows, classes}, dtype, "logits")),
        targets(Tensor::empty({rows}, DType::i32, kCpu)),
        weights(Tensor::empty({rows}, dtype, kCpu)) {
    for (std::int64_t r = 0; r < rows; ++r) {
      test::set(targets, r, static_cast<double>(r * 5 % classes));
      test::set(weights, r, r % 3 == 1 ? 0 : 0.25 * static_cast<double>(r % 4 + 1));
    }
  }

  void forward() {
    totals = full({3}, DType::f64, kNaN);
    loss = full({}, logits.dtype(), kNaN);
    CrossEntropyForwardArgs args{
        .logits = logits, .targets = targets, .weights = weights, .totals = totals, .loss = loss};
    run(&Table::cross_entropy_forward, kCpu, args);
  }

  void backward(const Tensor& grad, double grad_loss, double beta) const {
    run(&Table::cross_entropy_backward, kCpu,
        {.logits = logits,
         .targets = targets,
         .weights = weights,
         .totals = totals,
         .grad_loss = full({}, logits.dtype(), grad_loss),
         .grad_logits = grad,
         .beta = beta});
  }

  Tensor logits, targets, weights, totals, loss;
};

TEST_CASE("cross_entropy: totals, loss and gradient are the definition's") {
  for (const DType dtype : {DType::f32, DType::f64}) {
    const double tolerance = dtype == DType::f32 ? 1e-6 : 1e-12;
    for (const std::int64_t rows : {1, 63, 257, 1000}) {  // chunks of 256
      for (const std::int64_t classes : {2, 63, 257}) {
        CAPTURE(message(name_of(dtype), " ", rows, " ", classes));
        Problem p(rows, classes, dtype);
        p.forward();
        const auto expected = reference::cross_entropy(p.logits, p.targets, p.weights);
        CHECK(relative_difference(p.totals, expected.totals) <
              1e-12);  // in f64 whatever the logits
        CHECK(relative_difference(p.loss, expected.loss) < tolerance);
        const Tensor grad = full(p.logits.shape(), dtype, kNaN);
        p.backward(grad, 1, 0);
        CHECK(relative_difference(grad, expected.grad) < tolerance);
        p.backward(grad, 2, 0.5);  // 0.5 + 2 times the gradient
        for (std::int64_t i = 0; i < grad.elements(); ++i) {
          test::set(grad, i, get(grad, i) / 2.5);
        }
        CHECK(relative_difference(grad, expected.grad) < tolerance);
      }
    }
  }
}

TEST_CASE("cross_entropy: one class costs nothing") {
  Problem p(5, 1, DType::f32);
  p.forward();
  CHECK(get(p.loss, 0) == 0);
  const Tensor grad = full({5, 1}, DType::f32, kNaN);
  p.backward(grad, 1, 0);
  CHECK(test::max_abs(grad) == 0);
}

TEST_CASE("cross_entropy: rows of no weight count for nothing, NaN or not") {
  Problem p(9, 5, DType::f64);
  p.forward();
  const double loss = get(p.loss, 0);
  for (std::int64_t r = 1; r < 9; r += 3) test::fill(p.logits.slice(0, r, 1), kNaN);
  p.forward();
  CHECK(get(p.loss, 0) == loss);
  const Tensor grad = full({9, 5}, DType::f64, kNaN);
  p.backward(grad, 1, 0);
  for (std::int64_t r = 0; r < 9; ++r) {
    CHECK((test::max_abs(grad.slice(0, r, 1)) == 0) == (r % 3 == 1));
  }
}

TEST_CASE("cross_entropy: large logits neither overflow nor lose the loss") {
  Problem p(2, 3, DType::f32);
  p.targets = from_vector({2}, {0, 1}, DType::i32);
  p.weights = full({2}, DType::f32, 1);
  p.logits = from_vector({2, 3}, {1e30, -1e30, 0, 1000, 0, -1000}, DType::f32);
  p.forward();
  CHECK(get(p.loss, 0) == doctest::Approx(500));
  CHECK(get(p.totals, 2) == 1);
}

TEST_CASE("cross_entropy: of equal logits the first is the guess") {
  Problem p(3, 4, DType::f32);
  p.targets = from_vector({3}, {0, 1, 3}, DType::i32);
  p.weights = full({3}, DType::f32, 1);
  p.logits = full({3, 4}, DType::f32, 2);
  p.forward();
  CHECK(get(p.totals, 2) == 1);
  CHECK(get(p.loss, 0) == doctest::Approx(std::log(4)));
}

TEST_CASE("cross_entropy: a NaN shows in the loss") {
  Problem p(3, 4, DType::f32);
  test::set(p.logits, 1, kNaN);
  p.forward();
  CHECK(std::isnan(get(p.loss, 0)));
}

// totals[2] of one row of logits with this target.
double guessed_right(const std::vector<double>& logits, double target) {
  Problem p(1, static_cast<std::int64_t>(logits.size()), DType::f32);
  p.logits = from_vector({1, static_cast<std::int64_t>(logits.size())}, logits, DType::f32);
  test::fill(p.targets, target);
  test::fill(p.weights, 1);
  p.forward();
  return get(p.totals, 2);
}

TEST_CASE("cross_entropy: of equal logits the first is the guess, and of a NaN there is none") {
  CHECK(guessed_right({1, 3, 3}, 1) == 1);
  CHECK(guessed_right({1, 3, 3}, 2) == 0);
  CHECK(guessed_right({2, 2}, 0) == 1);
  CHECK(guessed_right({2, 2}, 1) == 0);
  for (const double target : {0.0, 1.0, 2.0}) {
    CHECK(guessed_right({kNaN, kNaN, kNaN}, target) == 0);
    CHECK(guessed_right({kNaN, 1, 2}, target) == 0);
    CHECK(guessed_right({1, kNaN, 2}, target) == 0);
    CHECK(guessed_right({1, 2, kNaN}, target) == 0);
  }
}

}  // namespace
}  // namespace tarn::kernels
