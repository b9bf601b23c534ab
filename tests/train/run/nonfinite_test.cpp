// Which op is named where one of the batches of an update overflows.
#include <doctest/doctest.h>

#include "autograd/linear.h"
#include "autograd/unary.h"
#include "tests/support/random_tensor.h"
#include "train/run/update.h"

namespace tarn::train {
namespace {

class OneWeight : public nn::Module {
 public:
  OneWeight() : Module({.path = ""}), weight(parameter("weight", {1, 1}, nn::Init::constant(1))) {}
  ad::Parameter& weight;
};

// The loss of each batch is finite; the gradient of the one that overflows is not.
class OverflowTask final : public Task {
 public:
  explicit OverflowTask(std::int64_t overflowing) : overflowing_(overflowing) {}
  nn::Module& model() override { return model_; }
  Metrics evaluate(Communicator&) override { return {}; }
  std::int64_t count_recorded(const SafetensorsFile&) const override { return 0; }
  ForwardResult recorded_batch(const SafetensorsFile&, std::int64_t, const nn::Pass&) override {
    return {};
  }

  ForwardResult train_batch(std::int64_t index, const data::Shard&, const nn::Pass&) override {
    const auto constant = [](double value) { return test::full({1, 1}, DType::f32, value); };
    const Tensor weight = model_.weight.tensor();
    Tensor loss = ad::unary(weight, ad::Unary::elu_plus_one);
    if (index == overflowing_) {
      loss = ad::linear(constant(1e-38), weight, {});
      for (int i = 0; i < 2; ++i) loss = ad::linear(loss, constant(1e30), {});
    }
    return {loss, loss, test::cast(loss.view({1}), DType::f64), 1};
  }
  Metrics metrics(std::span<const double> totals) const override { return {{"loss", totals[0]}}; }

 private:
  OneWeight model_;
  std::int64_t overflowing_;
};

TEST_CASE("nonfinite: the op named is that of the batch that overflowed, whichever it was") {
  Config config;
  config.train.accumulate = 3;
  for (const std::int64_t overflowing : {0, 1, 2}) {
    CAPTURE(overflowing);
    OverflowTask task(overflowing);
    ad::Tape tape;
    tape.watch_nonfinite();
    run_shard(task, config, 0, {}, tape);
    REQUIRE(tape.first_nonfinite().has_value());
    CHECK(tape.first_nonfinite()->op == "linear");
    CHECK(tape.first_nonfinite()->in_backward);
    CHECK(tape.first_nonfinite()->near == "weight");
  }
}

}  // namespace
}  // namespace tarn::train
