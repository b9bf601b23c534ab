// What is particular to attention by hashing; mask_test and init_test have what holds for all
// kinds.
#include <doctest/doctest.h>

#include "autograd/cross_entropy.h"
#include "core/check.h"
#include "tests/nn/tokens.h"

namespace tarn::nn {
namespace {

using test::random_tokens;

SequencePredictorOptions options_without_dropout() {
  SequencePredictorOptions options = test::small_options("lsh", 100);
  options.encoder.dropout = options.encoder.attention_dropout = 0;
  return options;
}

TEST_CASE("lsh: training draws its planes by seed and step, evaluation always the same") {
  const SequencePredictor model(test::build_of(), options_without_dropout());
  const Tensor tokens = random_tokens({2, 61}, 11, "a");
  const AttentionMask mask{.causal = true, .lengths = {}};
  const auto difference = [&](const Pass& a, const Pass& b) {
    return test::max_abs_difference(model.forward(tokens, mask, a), model.forward(tokens, mask, b));
  };
  CHECK(difference({true, 1, 5}, {true, 1, 5}) == 0);
  CHECK(difference({true, 1, 5}, {true, 1, 6}) > 1e-3);
  CHECK(difference({true, 1, 5}, {true, 2, 5}) > 1e-3);
  CHECK(difference({false, 1, 5}, {false, 2, 6}) == 0);
}

TEST_CASE("lsh: any length, whatever the chunk") {
  for (const std::int64_t chunk : {1, 29, 64}) {
    SequencePredictorOptions options = options_without_dropout();
    options.encoder.lsh.chunk = chunk;
    const SequencePredictor model(test::build_of(), options);
    for (const std::int64_t length : {1, 2, 28, 63, 100}) {
      CAPTURE(chunk);
      CAPTURE(length);
      const Tensor out = model.forward(random_tokens({1, length}, 11, "a"), {}, {});
      CHECK(std::isfinite(test::max_abs(out)));
    }
  }
}

// The gradients of every parameter from the first `length` positions of one sequence.
std::vector<Tensor> gradients(const SequencePredictor& model, const Tensor& tokens,
                              const AttentionMask& mask, std::int64_t b, std::int64_t length) {
  const Tensor weights = test::full(tokens.shape(), DType::f32, 0);
  test::fill(weights.slice(0, b, 1).slice(1, 0, length), 1);
  ad::Tape tape;
  Tensor loss;
  {
    const ad::Recording recording = tape.record();
    loss = ad::cross_entropy(model.forward(tokens, mask, {}), tokens, weights).loss;
  }
  tape.backward(loss);
  std::vector<Tensor> grads;
  for (ad::Parameter* parameter : model.parameters()) {
    grads.push_back(parameter->has_grad() ? test::copy_of(parameter->grad()) : Tensor());
    parameter->clear_grad();
  }
  return grads;
}

TEST_CASE("lsh: gradients of a sequence alone are those beside a longer one") {
  const SequencePredictor model(test::build_of(), options_without_dropout());
  const Tensor tokens = random_tokens({2, 100}, 11, "a");
  for (const bool causal : {false, true}) {
    const std::vector<Tensor> beside =
        gradients(model, tokens, {.causal = causal, .lengths = test::lengths_of({100, 37})}, 1, 37);
    const Tensor first = copy_to(tokens.slice(0, 1, 1).slice(1, 0, 37), Device::cpu());
    const std::vector<Tensor> alone =
        gradients(model, first, {.causal = causal, .lengths = {}}, 0, 37);
    const auto parameters = model.parameters();
    for (std::size_t i = 0; i < alone.size(); ++i) {
      CAPTURE(parameters[i]->name());
      // Queries are the keys, so nothing reaches the key projection.
      const bool is_key = parameters[i]->name().find("key_projection") != std::string::npos;
      REQUIRE(alone[i].defined() == !is_key);
      REQUIRE(beside[i].defined() == !is_key);
      if (!is_key) CHECK(test::max_abs_difference(alone[i], beside[i]) < 1e-5);
    }
  }
}

TEST_CASE("lsh: refuses sizes below one") {
  SequencePredictorOptions options = options_without_dropout();
  options.encoder.lsh.bits = 0;
  CHECK_THROWS_WITH_AS(SequencePredictor(test::build_of(), options),
                       doctest::Contains("bits 0 and chunk 4 must be at least 1"), ConfigError);
}

}  // namespace
}  // namespace tarn::nn
