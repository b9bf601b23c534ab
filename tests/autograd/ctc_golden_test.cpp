// PyTorch's CTC loss, number by number (tests/golden/README.md).
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "autograd/ctc.h"
#include "core/io/safetensors.h"
#include "tests/support/paths.h"
#include "tests/support/random_tensor.h"

namespace tarn::ad {
namespace {

using test::get;
using test::relative_difference;

struct Golden {
  Golden()
      : file(test::source_dir() / "tests/golden/ctc_small.safetensors"),
        labels(integers("targets")),
        frames(integers("input_lengths")),
        label_lengths(integers("target_lengths")) {}

  Tensor integers(const char* name) const { return test::cast(file.read(name), DType::i32); }
  // PyTorch has time first.
  Tensor batch_first(const std::string& name, DType dtype) const {
    return test::cast(file.read(name).transpose(0, 1), dtype);
  }

  SafetensorsFile file;
  Tensor labels, frames, label_lengths;
};

// The gradient of the loss with respect to the logits.
Tensor gradient(const Golden& golden, const Tensor& logits, CtcWeight weight) {
  Parameter parameter("logits", logits);
  Tape tape;
  Tensor loss;
  {
    const Recording recording = tape.record();
    loss = ctc(parameter.tensor(), golden.labels, golden.frames, golden.label_lengths, weight).loss;
  }
  tape.backward(loss);
  return test::copy_of(parameter.grad());
}

void check(DType dtype, const std::string& prefix, double tolerance) {
  const Golden golden;
  const Tensor logits = golden.batch_first("logits", dtype);
  const std::int64_t batch = logits.size(0);
  const Tensor expected = golden.file.read(prefix + ".none.loss");
  const auto whole = ctc(logits, golden.labels, golden.frames, golden.label_lengths);
  double sum = 0, counted = 0;
  for (std::int64_t n = 0; n < batch; ++n) {
    const double loss = get(expected, n);
    const bool fits = get(golden.file.read("min_frames"), n) <= get(golden.frames, n);
    CHECK(std::isfinite(loss) == fits);
    if (fits) {
      CHECK(get(whole.losses, n) == doctest::Approx(loss).epsilon(tolerance));
      sum += loss;
      counted += 1;
    } else {
      CHECK(std::isinf(get(whole.losses, n)));
    }
  }
  CHECK(counted < static_cast<double>(batch));  // the set has infeasible utterances
  CHECK(get(whole.loss, 0) == doctest::Approx(sum / counted).epsilon(tolerance));
  CHECK(get(golden.file.read(prefix + ".sum_zeroinf.loss"), 0) ==
        doctest::Approx(sum).epsilon(tolerance));

  // PyTorch's means divide by the whole batch, ours by what is counted.
  const auto scaled = [](const Tensor& x, double factor) {
    for (std::int64_t i = 0; i < x.elements(); ++i) test::set(x, i, get(x, i) * factor);
    return x;
  };
  CHECK(relative_difference(scaled(gradient(golden, logits, CtcWeight::whole), counted),
                            golden.batch_first(prefix + ".none_zeroinf.grad_logits", dtype)) <
        tolerance);
  const double of_all = counted / static_cast<double>(batch);
  const auto mean =
      ctc(logits, golden.labels, golden.frames, golden.label_lengths, CtcWeight::per_label);
  CHECK(
      get(mean.loss, 0) * of_all ==
      doctest::Approx(get(golden.file.read(prefix + ".mean_zeroinf.loss"), 0)).epsilon(tolerance));
  CHECK(relative_difference(scaled(gradient(golden, logits, CtcWeight::per_label), of_all),
                            golden.batch_first(prefix + ".mean_zeroinf.grad_logits", dtype)) <
        tolerance);
}

TEST_CASE("golden: ctc in f64, losses and gradients") { check(DType::f64, "f64", 1e-12); }
TEST_CASE("golden: ctc in f32, losses and gradients") { check(DType::f32, "f32", 2e-6); }

}  // namespace
}  // namespace tarn::ad
