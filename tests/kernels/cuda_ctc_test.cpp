// The ctc kernels of CUDA devices against the CPU's on the same inputs.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "core/transfer.h"
#include "kernels/ctc.h"
#include "kernels/table.h"
#include "tests/support/compare_devices.h"
#include "tests/support/random_tensor.h"

namespace tarn::kernels {
namespace {

using test::compare;
using test::kFloats;
using test::random_tensor;
using Tensors = std::vector<Tensor>;
using Lengths = std::vector<double>;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

double tolerance(DType dtype) { return dtype == DType::f32 ? 1e-5 : 1e-12; }

Tensor integers(const Shape& shape, const std::vector<double>& values, Device device) {
  return copy_to(test::from_vector(shape, values, DType::i32), device);
}

// The losses, their totals and mean, and the gradient after one that was there. The labels of a row
// are 1 1 2 2 3 3 ... in turn: every other one repeats.
Tensors ctc(const Tensor& logits, const Lengths& frames, const Lengths& labels, bool per_label,
            double beta) {
  const Device device = logits.device();
  const std::int64_t batch = logits.size(0), classes = logits.size(2);
  const std::int64_t most =
      batch == 0 ? 1 : static_cast<std::int64_t>(*std::max_element(labels.begin(), labels.end()));
  std::vector<double> spelled(static_cast<std::size_t>(batch * most));
  for (std::size_t i = 0; i < spelled.size(); ++i) {
    spelled[i] = static_cast<double>(1 + static_cast<std::int64_t>(i) % most / 2 % (classes - 1));
  }
  const Tensor totals = Tensor::empty({2}, DType::f64, device);
  const Tensor losses = Tensor::empty({batch}, DType::f64, device);
  CtcForwardArgs forward{
      .logits = logits,
      .labels = integers({batch, most}, spelled, device),
      .frame_lengths = integers({batch}, frames, device),
      .label_lengths = integers({batch}, labels, device),
      .per_label = per_label,
      .normalisers = Tensor::empty({batch, logits.size(1)}, DType::f64, device),
      .alpha = Tensor::empty({batch, logits.size(1), 2 * most + 1}, DType::f64, device),
      .losses = losses,
      .totals = totals,
      .loss = Tensor::empty({}, logits.dtype(), device)};
  run(&Table::ctc_forward, device, forward);
  const Tensor grad = copy_to(random_tensor(logits.shape(), logits.dtype(), "old"), device);
  run(&Table::ctc_backward, device,
      {.logits = logits,
       .labels = forward.labels,
       .frame_lengths = forward.frame_lengths,
       .label_lengths = forward.label_lengths,
       .per_label = per_label,
       .normalisers = forward.normalisers,
       .alpha = forward.alpha,
       .losses = losses,
       .totals = totals,
       .grad_loss = copy_to(test::full({}, logits.dtype(), 1.5), device),
       .grad_logits = grad,
       .beta = beta});
  return {losses, totals, forward.loss, grad};
}

TEST_CASE("cuda: ctc of utterances that differ in length, some of which cannot be spelt") {
  struct Case {
    std::int64_t frames, classes;
    Lengths frame_lengths, label_lengths;
  };
  const std::vector<Case> cases = {
      {1, 2, {1}, {0}},
      {0, 3, {0, 0}, {0, 1}},
      {9, 4, {9, 5, 4, 0}, {4, 4, 2, 0}},
      {5, 4, {5, 0}, {4, 1}},  // none can
      {63, 100, {63, 40, 1}, {31, 5, 1}},
      {257, 33, {257, 100}, {140, 63}},  // more states than threads
      {2, 3, Lengths(300, 2), Lengths(300, 1)},
  };
  for (const DType dtype : kFloats) {
    for (const Case& c : cases) {
      CAPTURE(c.frames);
      for (const bool per_label : {false, true}) {
        compare(dtype, tolerance(dtype), [&](Device device) {
          const auto batch = static_cast<std::int64_t>(c.frame_lengths.size());
          const Tensor logits = random_tensor({batch, c.frames, c.classes}, dtype, "logits");
          return ctc(copy_to(logits, device), c.frame_lengths, c.label_lengths, per_label,
                     per_label ? 0.5 : 0);
        });
      }
    }
  }
}

TEST_CASE("cuda: ctc with logits of minus infinity, which no path takes") {
  for (const DType dtype : kFloats) {
    compare(dtype, tolerance(dtype), [&](Device device) {
      const Tensor logits = random_tensor({2, 9, 4}, dtype, "logits");
      for (const std::int64_t t : {0, 3, 8}) test::set(logits, {0, t, 0}, -kInfinity);
      test::set(logits, {1, 4, 0}, -kInfinity);  // one label, in the first frames or the last
      return ctc(copy_to(logits, device), {9, 9}, {3, 1}, false, 0);
    });
  }
}

TEST_CASE("cuda: a NaN among the logits is one of the loss and of the gradient") {
  for (const DType dtype : kFloats) {
    for (const Device device : test::devices()) {
      CAPTURE(device.str());
      const Tensor logits = random_tensor({2, 9, 4}, dtype, "logits");
      test::set(logits, {1, 4, 2}, std::nan(""));
      const Tensors results = ctc(copy_to(logits, device), {9, 9}, {3, 3}, false, 0);
      CHECK(std::isnan(test::get(results[0], 1)));
      CHECK(std::isnan(test::max_abs(results[2])));
      CHECK(std::isnan(test::max_abs(results[3])));
    }
  }
}

TEST_CASE("cuda: ctc of no utterances") {
  for (const DType dtype : kFloats) {
    compare(dtype, 0, [&](Device device) {
      return ctc(Tensor::empty({0, 5, 3}, dtype, device), {}, {}, false, 0);
    });
  }
}

}  // namespace
}  // namespace tarn::kernels
