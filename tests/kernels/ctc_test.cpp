#include "kernels/ctc.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "kernels/table.h"
#include "tests/reference/ctc.h"
#include "tests/support/random_tensor.h"

namespace tarn::kernels {
namespace {

using reference::Labels;
using test::from_vector;
using test::full;
using test::get;
using test::relative_difference;

const Device kCpu = Device::cpu();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// A batch of utterances, each of so many frames and these labels. What the contract says is not
// read is NaN, or a label far outside.
struct Problem {
  Problem(const std::vector<std::int64_t>& frames, const std::vector<Labels>& expected,
          std::int64_t classes, DType dtype)
      : batch(static_cast<std::int64_t>(frames.size())) {
    std::int64_t longest = 0, most = 0;
    for (const std::int64_t count : frames) longest = std::max(longest, count);
    for (const Labels& row : expected) most = std::max(most, static_cast<std::int64_t>(row.size()));
    logits = full({batch, longest, classes}, dtype, kNaN);
    labels = full({batch, most}, DType::i32, 1 << 30);
    frame_lengths = full({batch}, DType::i32, 0);
    label_lengths = full({batch}, DType::i32, 0);
    for (std::int64_t n = 0; n < batch; ++n) {
      const std::int64_t count = frames[reference::at(n)];
      const Labels& row = expected[reference::at(n)];
      test::set(frame_lengths, n, static_cast<double>(count));
      test::set(label_lengths, n, static_cast<double>(row.size()));
      for (std::size_t i = 0; i < row.size(); ++i) {
        test::set(labels, {n, static_cast<std::int64_t>(i)}, row[i]);
      }
      test::fill_normal(logits.select(0, n).slice(0, 0, count), message("logits", n));
    }
  }

  void forward(bool mean_per_label = false) {
    per_label = mean_per_label;
    const Shape frames = logits.shape().without_last();
    normalisers = full(frames, DType::f64, kNaN);
    alpha = full(frames.with(2 * labels.size(1) + 1), DType::f64, kNaN);
    losses = full({batch}, DType::f64, kNaN);
    totals = full({2}, DType::f64, kNaN);
    loss = full({}, logits.dtype(), kNaN);
    run(&Table::ctc_forward, kCpu,
        {.logits = logits,
         .labels = labels,
         .frame_lengths = frame_lengths,
         .label_lengths = label_lengths,
         .per_label = per_label,
         .normalisers = normalisers,
         .alpha = alpha,
         .losses = losses,
         .totals = totals,
         .loss = loss});
  }

  void backward(const Tensor& grad, double grad_loss, double beta) const {
    run(&Table::ctc_backward, kCpu,
        {.logits = logits,
         .labels = labels,
         .frame_lengths = frame_lengths,
         .label_lengths = label_lengths,
         .per_label = per_label,
         .normalisers = normalisers,
         .alpha = alpha,
         .losses = losses,
         .totals = totals,
         .grad_loss = full({}, logits.dtype(), grad_loss),
         .grad_logits = grad,
         .beta = beta});
  }

  Tensor gradient() const {
    const Tensor grad = full(logits.shape(), logits.dtype(), kNaN);
    backward(grad, 1, 0);
    return grad;
  }

  reference::Ctc expected() const {
    return reference::ctc(logits, labels, frame_lengths, label_lengths, per_label);
  }

  std::int64_t batch;
  bool per_label = false;
  Tensor logits, labels, frame_lengths, label_lengths;
  Tensor normalisers, alpha, losses, totals, loss;
};

TEST_CASE("ctc: losses are the sums over all paths") {
  const std::vector<Labels> all = {{}, {1}, {2, 1}, {1, 1}, {2, 2, 2}, {1, 2, 1}, {2, 2, 1, 1}};
  for (const Labels& labels : all) {
    for (std::int64_t frames = 1; frames <= 7; ++frames) {
      CAPTURE(message(labels.size(), " labels in ", frames, " frames"));
      Problem p({frames}, {labels}, 3, DType::f64);
      p.forward();
      const double expected = reference::ctc_by_paths(p.logits.select(0, 0), frames, labels);
      if (std::isinf(expected)) {
        CHECK(get(p.losses, 0) == kInfinity);
      } else {
        CHECK(get(p.losses, 0) == doctest::Approx(expected).epsilon(1e-12));
      }
    }
  }
}

// Unequal lengths; repeats; no labels; as few frames as can be; fewer.
Problem mixed_problem(DType dtype) {
  return {{100, 1, 63, 7, 7, 6, 1},
          {{1, 2, 3, 39, 39, 39, 5, 1},
           {7},
           {},
           {4, 4, 4, 4},
           {1, 2, 3, 4, 5, 6, 7},
           {4, 4, 4, 4},
           {1, 2}},
          40,
          dtype};
}

TEST_CASE("ctc: losses and gradients are the textbook's") {
  for (const DType dtype : {DType::f32, DType::f64}) {
    const double tolerance = dtype == DType::f32 ? 1e-6 : 1e-12;
    for (const bool per_label : {false, true}) {
      CAPTURE(message(name_of(dtype), per_label ? " per label" : ""));
      Problem p = mixed_problem(dtype);
      p.forward(per_label);
      const auto expected = p.expected();
      for (std::int64_t n = 0; n < p.batch; ++n) {
        if (n < 5) {
          CHECK(get(p.losses, n) == doctest::Approx(get(expected.losses, n)).epsilon(1e-12));
        } else {
          CHECK(get(p.losses, n) == kInfinity);
        }
      }
      CHECK(get(p.totals, 1) == 5);
      CHECK(relative_difference(p.loss, expected.loss) < tolerance);
      const Tensor grad = p.gradient();
      CHECK(relative_difference(grad, expected.grad) < tolerance);
      test::fill(grad, 1);
      p.backward(grad, 2, 0.5);  // 0.5 + 2 times the gradient
      for (std::int64_t i = 0; i < grad.elements(); ++i) {
        test::set(grad, i, (get(grad, i) - 0.5) / 2);
      }
      CHECK(relative_difference(grad, expected.grad) < 10 * tolerance);
    }
  }
}

TEST_CASE("ctc: what has too few frames is as good as not in the batch") {
  Problem with({20, 2, 9}, {{1, 2}, {3, 3}, {4}}, 5, DType::f64);
  Problem without({20, 9}, {{1, 2}, {4}}, 5, DType::f64);
  test::fill_normal(without.logits.select(0, 1).slice(0, 0, 9), "logits2");
  with.forward();
  without.forward();
  CHECK(get(with.loss, 0) == get(without.loss, 0));
  const Tensor grad = with.gradient(), expected = without.gradient();
  CHECK(test::max_abs_difference(grad.select(0, 0), expected.select(0, 0)) == 0);
  CHECK(test::max_abs(grad.select(0, 1)) == 0);
  CHECK(test::max_abs_difference(grad.select(0, 2), expected.select(0, 1)) == 0);
}

TEST_CASE("ctc: a batch of nothing that fits has loss 0 and no gradient") {
  Problem p({0, 3}, {{1}, {1, 1, 1}}, 4, DType::f32);
  p.forward();
  CHECK(get(p.loss, 0) == 0);
  CHECK(get(p.totals, 1) == 0);
  CHECK(test::max_abs(p.gradient()) == 0);
}

TEST_CASE("ctc: no frames spell no labels") {
  Problem p({0, 1}, {{}, {}}, 4, DType::f64);
  p.forward();
  CHECK(get(p.losses, 0) == 0);
  CHECK(get(p.totals, 1) == 2);
  CHECK(test::max_abs(p.gradient().select(0, 0)) == 0);
}

TEST_CASE("ctc: long utterances and extreme logits neither underflow nor lose the gradient") {
  Labels labels;
  for (int i = 0; i < 400; ++i) labels.push_back(1 + i / 2 % 39);
  Problem p({2400}, {labels}, 40, DType::f32);
  p.forward();
  CHECK(std::isfinite(get(p.loss, 0)));
  CHECK(get(p.loss, 0) > 1000);
  const Tensor grad = p.gradient();
  for (std::int64_t t = 0; t < 2400; t += 61) {  // softmax and expectation both sum to 1
    double sum = 0;
    for (std::int64_t c = 0; c < 40; ++c) sum += get(grad, {0, t, c});
    CHECK(std::abs(sum) < 1e-5);
  }
  Problem steep({3}, {{1, 2}}, 3, DType::f32);
  for (std::int64_t i = 0; i < 9; ++i) test::set(steep.logits, i, i % 2 == 0 ? 1e6 : -1e6);
  steep.forward();
  CHECK(std::isfinite(get(steep.loss, 0)));
  CHECK(test::max_abs(steep.gradient()) <= 1);
}

TEST_CASE("ctc: a NaN shows in the loss wherever it is") {
  for (std::int64_t frame = 0; frame < 5; ++frame) {
    Problem p({5}, {{1, 1}}, 4, DType::f32);
    test::set(p.logits, {0, frame, 3}, kNaN);  // a class that is not among the labels
    p.forward();
    CHECK(std::isnan(get(p.loss, 0)));
  }
}

}  // namespace
}  // namespace tarn::kernels
