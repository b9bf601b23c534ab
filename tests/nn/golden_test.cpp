// The authors' model and op, number by number (tests/golden/README.md).
#include <doctest/doctest.h>

#include <filesystem>
#include <string>

#include "autograd/causal_linear_attention.h"
#include "autograd/cross_entropy.h"
#include "autograd/views.h"
#include "core/check.h"
#include "core/io/safetensors.h"
#include "optim/optimizer.h"
#include "tests/nn/tokens.h"
#include "tests/support/paths.h"

namespace tarn::nn {
namespace {

SafetensorsFile golden(const char* name) {
  return SafetensorsFile(test::source_dir() / "tests" / "golden" / name);
}

// The model of copy_causal-linear.safetensors with its weights.
class GoldenModel {
 public:
  explicit GoldenModel(DType dtype)
      : file_(golden("copy_causal-linear.safetensors")),
        dtype_(dtype),
        model_(test::build_of(dtype), test::small_options("causal-linear", 32)) {
    for (const Buffer& buffer : model_.buffers()) load(buffer.name, buffer.value);
    for (const ad::Parameter* parameter : model_.parameters()) {
      load(parameter->name(), parameter->value());
    }
  }

  struct Result {
    Tensor logits, loss, totals;
  };

  // Forward and backward of recorded batch `step`, without dropout.
  Result run(std::int64_t step) {
    ad::Tape tape;
    Result result;
    {
      const ad::Recording recording = tape.record();
      result.logits =
          model_.forward(part("x", step, DType::i32), {.causal = true, .lengths = {}}, {});
      const auto loss =
          ad::cross_entropy(result.logits, part("y", step, DType::i32), part("mask", step, dtype_));
      result.loss = loss.loss;
      result.totals = loss.totals;
    }
    tape.backward(result.loss);
    return result;
  }

  const SafetensorsFile& file() const { return file_; }
  const SequencePredictor& model() const { return model_; }

  // The largest difference of any gradient, in units of the largest gradient of all.
  double gradient_error(const std::string& prefix) const {
    double largest = 0, difference = 0;
    for (const ad::Parameter* parameter : model_.parameters()) {
      const Tensor expected = file_.read(prefix + parameter->name());
      REQUIRE(parameter->has_grad());
      largest = std::max(largest, test::max_abs(expected));
      difference = std::max(difference, test::max_abs_difference(parameter->grad(), expected));
    }
    return difference / largest;
  }

 private:
  void load(const std::string& name, const Tensor& target) const {
    copy_into(test::cast(file_.read("state_dict." + name), dtype_), target);
  }
  Tensor part(const char* name, std::int64_t step, DType dtype) const {
    return test::cast(file_.read(name).select(0, step), dtype);
  }

  SafetensorsFile file_;
  DType dtype_;
  SequencePredictor model_;
};

TEST_CASE("golden: logits, loss and every gradient are the authors'") {
  GoldenModel golden(DType::f32);
  const auto result = golden.run(0);
  CHECK(test::max_abs_difference(result.logits, golden.file().read("logits")) < 5e-6);
  CHECK(std::abs(item(result.loss) - item(golden.file().read("loss"))) < 1e-6);
  const double error = golden.gradient_error("grad.");
  CHECK(error < 1e-5);
  MESSAGE("gradients within ", error, " of the largest");
}

TEST_CASE("golden: in f64 the same to many more places") {
  GoldenModel golden(DType::f64);
  const auto result = golden.run(0);
  const double logits = test::max_abs_difference(result.logits, golden.file().read("f64.logits"));
  const double error = golden.gradient_error("f64.grad.");
  CHECK(logits < 1e-12);
  CHECK(std::abs(item(result.loss) - item(golden.file().read("f64.loss"))) < 1e-13);
  CHECK(error < 1e-12);
  MESSAGE("f64: logits within ", logits, ", gradients within ", error, " of the largest");
}

TEST_CASE("golden: ten updates of the authors' RAdam") {
  GoldenModel golden(DType::f32);
  const auto optimizer = optim::make_optimizer(golden.model().parameters(), {});
  const std::vector<double> losses = test::to_vector(golden.file().read("losses"));
  const std::vector<double> accuracies = test::to_vector(golden.file().read("accuracies"));
  for (std::size_t step = 0; step < 10; ++step) {
    CAPTURE(step);
    const auto result = golden.run(static_cast<std::int64_t>(step));
    CHECK(std::abs(item(result.loss) - losses[step]) < 2e-6);
    const double accuracy = test::get(result.totals, 2) / test::get(result.totals, 1);
    CHECK(accuracy == doctest::Approx(accuracies[step]).epsilon(1e-6));
    optimizer->step(1e-3);
  }
  double difference = 0;
  for (const ad::Parameter* parameter : golden.model().parameters()) {
    const Tensor expected = golden.file().read("step10." + parameter->name());
    difference = std::max(difference, test::max_abs_difference(parameter->value(), expected));
  }
  CHECK(difference < 1e-5);
  MESSAGE("parameters after ten updates within ", difference);
}

// The authors' op has no denominator. Ours is q . sum of k + eps; with eps far above the sums it is
// eps, to within 1e-8 in f64 and exactly in f32, so eps times ours is theirs, gradients included.
void check_causal_product(const std::string& name, DType dtype, double eps, double tolerance) {
  const SafetensorsFile file = golden("causal_product.safetensors");
  const auto read = [&](const char* part) {  // [N, H, L, E] to [N, L, H, E]
    return test::copy_of(test::cast(file.read(name + part), dtype).transpose(1, 2));
  };
  ad::Parameter query("q", read(".q")), key("k", read(".k")), value("v", read(".v"));
  ad::Tape tape;
  Tensor out;
  {
    const ad::Recording recording = tape.record();
    out = ad::causal_linear_attention({query.tensor(), key.tensor(), value.tensor()}, {}, eps);
  }
  tape.backward(out, read(".grad_out"));
  const auto error = [&](const Tensor& ours, const char* theirs) {
    const Tensor scaled = test::copy_of(ours);
    for (std::int64_t i = 0; i < scaled.elements(); ++i) {
      test::set(scaled, i, eps * test::get(scaled, i));
    }
    return test::relative_difference(scaled, read(theirs));
  };
  CHECK(error(out, ".out") < tolerance);
  CHECK(error(query.grad(), ".grad_q") < tolerance);
  CHECK(error(key.grad(), ".grad_k") < tolerance);
  CHECK(error(value.grad(), ".grad_v") < tolerance);
}

TEST_CASE("golden: the authors' causal product and its gradients") {
  for (const char* name : {"a", "b", "c"}) {
    CAPTURE(name);
    check_causal_product(name, DType::f32, std::ldexp(1.0, 40), 2e-6);
    check_causal_product(name, DType::f64, 1e10, 2e-6);
  }
}

}  // namespace
}  // namespace tarn::nn
