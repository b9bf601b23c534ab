// The thesis of the paper: the same weights run position by position give what they give in
// parallel.
#include <doctest/doctest.h>

#include "core/check.h"
#include "tests/nn/tokens.h"

namespace tarn::nn {
namespace {

using test::small_options;

// The largest difference between forward() of all positions and step() of one after another.
double recurrent_error(const std::string& attention, std::int64_t batch, std::int64_t length) {
  const SequencePredictor model(test::build_of(), small_options(attention, length));
  const Tensor tokens = test::random_tokens({batch, length}, 11, "recurrent");
  const Tensor parallel = model.forward(tokens, {.causal = true, .lengths = {}}, {});
  EncoderState state = model.start(batch);
  double error = 0;
  for (std::int64_t l = 0; l < length; ++l) {
    const Tensor column = copy_to(tokens.select(1, l), Device::cpu());
    const Tensor logits = model.step(column, state);
    error = std::max(error, test::max_abs_difference(logits, parallel.select(1, l)));
  }
  return error;
}

TEST_CASE("recurrent: step by step equals the parallel pass") {
  for (const char* attention : {"causal-linear", "full"}) {
    for (const std::int64_t length : {1, 2, 63, 64, 65, 128, 1000}) {
      CAPTURE(attention);
      CAPTURE(length);
      CHECK(recurrent_error(attention, 3, length) < 1e-5);
    }
    CHECK(recurrent_error(attention, 1, 65) < 1e-5);
    CHECK(recurrent_error(attention, 17, 9) < 1e-5);
  }
}

TEST_CASE("recurrent: other feature maps and f64") {
  for (const char* map : {"elu+1", "relu"}) {
    CAPTURE(map);
    SequencePredictorOptions options = small_options("causal-linear", 65);
    options.encoder.feature_map = map;
    const SequencePredictor model(test::build_of(DType::f64), options);
    const Tensor tokens = test::random_tokens({2, 65}, 11, "f64");
    const Tensor parallel = model.forward(tokens, {.causal = true, .lengths = {}}, {});
    EncoderState state = model.start(2);
    for (std::int64_t l = 0; l < 65; ++l) {
      const Tensor logits = model.step(copy_to(tokens.select(1, l), Device::cpu()), state);
      CHECK(test::max_abs_difference(logits, parallel.select(1, l)) < 1e-10);
    }
  }
}

TEST_CASE("recurrent: a copied state goes on by itself") {
  for (const char* attention : {"causal-linear", "full"}) {
    CAPTURE(attention);
    const SequencePredictor model(test::build_of(), small_options(attention));
    const Tensor a = test::lengths_of({1, 2}), b = test::lengths_of({3, 4});
    EncoderState state = model.start(2);
    model.step(a, state);
    EncoderState kept = state.copy();
    const Tensor expected = model.step(b, state);
    model.step(a, state);  // the original moves on, and so does what it was
    REQUIRE(kept.layers.size() == 2);
    CHECK(kept.layers[0].position == 1);
    CHECK(state.layers[0].position == 3);
    CHECK(test::max_abs_difference(model.step(b, kept), expected) == 0);
    for (std::size_t i = 0; i < kept.layers[1].tensors.size(); ++i) {
      CHECK_FALSE(kept.layers[1].tensor(i).shares_storage_with(state.layers[1].tensor(i)));
    }
  }
}

TEST_CASE("recurrent: the state of linear attention does not grow, that of softmax is bounded") {
  const SequencePredictor linear(test::build_of(), small_options("causal-linear", 100));
  const EncoderState state = linear.start(3);
  CHECK(state.layers.at(0).tensor(0).shape() == Shape{3, 2, 16, 16});
  CHECK(state.layers.at(0).tensor(1).shape() == Shape{3, 2, 16});
  CHECK(test::max_abs(state.layers.at(0).tensor(0)) == 0);
  const SequencePredictor full(test::build_of(), small_options("full", 3));
  EncoderState cache = full.start(1);
  CHECK(cache.layers.at(0).tensor(0).shape() == Shape{1, 2, 3, 16});
  for (int i = 0; i < 3; ++i) full.step(test::lengths_of({1}), cache);
  CHECK_THROWS_AS(full.step(test::lengths_of({1}), cache), Error);
}

TEST_CASE("recurrent: positions past the model's length, and a batch of another size, are errors") {
  const SequencePredictor model(test::build_of(), small_options("causal-linear", 4));
  EncoderState state = model.start(2);
  CHECK_THROWS_AS(model.step(test::lengths_of({1, 2, 3}), state), Error);
  state = model.start(2);
  for (int i = 0; i < 4; ++i) model.step(test::lengths_of({1, 2}), state);
  CHECK_THROWS_WITH_AS(model.step(test::lengths_of({1, 2}), state),
                       doctest::Contains("position 4 is past the 4"), ShapeError);
  const Tensor longer = test::random_tokens({1, 5}, 11, "longer");
  CHECK_THROWS_WITH_AS(model.forward(longer, {.causal = true, .lengths = {}}, {}),
                       doctest::Contains("5 positions is longer than the 4"), ShapeError);
}

TEST_CASE("recurrent: attention without a recurrent form refuses") {
  const SequencePredictor causal(test::build_of(), small_options("causal-linear"));
  for (const char* attention : {"linear", "lsh"}) {
    const SequencePredictor model(test::build_of(), small_options(attention));
    const std::string refusal = message("\"", attention, "\" cannot be run step by step");
    CHECK_THROWS_WITH_AS(model.start(1), doctest::Contains(refusal.c_str()), ConfigError);
    EncoderState state = causal.start(1);
    CHECK_THROWS_WITH_AS(model.prefill(test::random_tokens({1, 3}, 11, "prefix"), state),
                         doctest::Contains(refusal.c_str()), ConfigError);
  }
}

}  // namespace
}  // namespace tarn::nn
