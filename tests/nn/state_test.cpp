// What a model that runs step by step remembers: handed over by the parallel pass, copied, saved,
// restored, and taken to another thread.
#include <doctest/doctest.h>

#include <thread>

#include "core/check.h"
#include "tests/nn/tokens.h"

namespace tarn::nn {
namespace {

using test::small_options;

constexpr const char* kKinds[] = {"causal-linear", "full"};

// Tokens [N] of one position.
Tensor column(const Tensor& tokens, std::int64_t position) {
  return copy_to(tokens.select(1, position), Device::cpu());
}

// The largest difference of logits between the parallel pass and a prefill, then steps.
double hand_over_error(const SequencePredictor& model, const Tensor& tokens, std::int64_t prefix) {
  const Tensor parallel = model.forward(tokens, {.causal = true, .lengths = {}}, {});
  EncoderState state = model.start(tokens.size(0));
  double error = 0;
  const auto compare = [&](const Tensor& logits, std::int64_t position) {
    error = std::max(error, test::max_abs_difference(logits, parallel.select(1, position)));
  };
  if (prefix > 0) {
    const Tensor head = copy_to(tokens.slice(1, 0, prefix), Device::cpu());
    compare(model.prefill(head, state), prefix - 1);
    CHECK(state.position() == prefix);
  }
  for (std::int64_t l = prefix; l < tokens.size(1); ++l) {
    compare(model.step(column(tokens, l), state), l);
  }
  return error;
}

TEST_CASE("state: a prefill in parallel, then steps, equal the parallel pass") {
  for (const char* kind : kKinds) {
    CAPTURE(kind);
    const SequencePredictor model(test::build_of(), small_options(kind, 783));
    const Tensor tokens = test::random_tokens({2, 783}, 11, "hand-over");
    for (const std::int64_t prefix : {0, 1, 300, 782, 783}) {
      CAPTURE(prefix);
      CHECK(hand_over_error(model, tokens, prefix) < 1e-5);
    }
  }
}

TEST_CASE("state: parallel and step by step agree over the 3,071 values of a colour image") {
  for (const char* kind : kKinds) {
    CAPTURE(kind);
    SequencePredictorOptions options = small_options(kind, 3071);
    options.encoder.layers = 1;
    const SequencePredictor model(test::build_of(), options);
    const Tensor tokens = test::random_tokens({1, 3071}, 11, "colour");
    for (const std::int64_t prefix : {0, 782}) {
      CAPTURE(prefix);
      CHECK(hand_over_error(model, tokens, prefix) < 1e-5);
    }
  }
}

TEST_CASE("state: prefill in f64 is exact to rounding, whatever the feature map") {
  for (const char* map : {"elu+1", "relu"}) {
    CAPTURE(map);
    SequencePredictorOptions options = small_options("causal-linear", 100);
    options.encoder.feature_map = map;
    const SequencePredictor model(test::build_of(DType::f64), options);
    const Tensor tokens = test::random_tokens({3, 100}, 11, "exact");
    for (const std::int64_t prefix : {1, 63, 65}) {
      CAPTURE(prefix);
      CHECK(hand_over_error(model, tokens, prefix) < 1e-11);
    }
  }
}

TEST_CASE("state: prefill wants a fresh state and a prefix that fits") {
  for (const char* kind : kKinds) {
    CAPTURE(kind);
    const SequencePredictor model(test::build_of(), small_options(kind, 8));
    EncoderState state = model.start(1);
    model.prefill(test::random_tokens({1, 3}, 11, "prefix"), state);
    CHECK_THROWS_WITH_AS(model.prefill(test::random_tokens({1, 3}, 11, "prefix"), state),
                         doctest::Contains("this one is at 3"), Error);
    state = model.start(1);
    CHECK_THROWS_AS(model.prefill(test::random_tokens({1, 9}, 11, "long"), state), ShapeError);
    CHECK_THROWS_AS(model.prefill(test::random_tokens({2, 3}, 11, "batch"), state), ShapeError);
    CHECK_THROWS_WITH_AS(model.prefill(test::random_tokens({3}, 11, "flat"), state),
                         doctest::Contains("tokens are [N, L]"), ShapeError);
  }
}

// The logits of steps [first, last), one after another.
std::vector<double> run_steps(const SequencePredictor& model, const Tensor& tokens,
                              EncoderState& state, std::int64_t last) {
  std::vector<double> all;
  while (state.position() < last) {
    const auto logits = test::to_vector(model.step(column(tokens, state.position()), state));
    all.insert(all.end(), logits.begin(), logits.end());
  }
  return all;
}

TEST_CASE("state: saved half way and restored into another model object, the bits go on") {
  for (const char* kind : kKinds) {
    CAPTURE(kind);
    const SequencePredictorOptions options = small_options(kind, 40);
    const Tensor tokens = test::random_tokens({3, 40}, 11, "half way");
    NamedTensors saved;
    std::vector<double> expected;
    {
      const SequencePredictor model(test::build_of(), options);
      EncoderState state = model.start(3);
      run_steps(model, tokens, state, 20);
      saved = state.copy().named();
      expected = run_steps(model, tokens, state, 40);
    }
    const SequencePredictor model(test::build_of(), options);
    EncoderState state = model.start(3);
    state.restore(saved);
    CHECK(state.position() == 20);
    CHECK(run_steps(model, tokens, state, 40) == expected);
  }
}

TEST_CASE("state: it goes on in another thread [thread]") {
  for (const char* kind : kKinds) {
    CAPTURE(kind);
    const SequencePredictor model(test::build_of(), small_options(kind, 20));
    const Tensor tokens = test::random_tokens({3, 20}, 11, "threads");
    EncoderState alone = model.start(3);
    const std::vector<double> expected = run_steps(model, tokens, alone, 20);
    EncoderState state = model.start(3);
    std::vector<double> logits = run_steps(model, tokens, state, 10);
    std::thread([&] {
      EncoderState moved = std::move(state);
      const auto rest = run_steps(model, tokens, moved, 20);
      logits.insert(logits.end(), rest.begin(), rest.end());
    }).join();
    CHECK(logits == expected);
  }
}

TEST_CASE("state: what was saved by another model is refused by name") {
  const SequencePredictor linear(test::build_of(), small_options("causal-linear", 20));
  const SequencePredictor full(test::build_of(), small_options("full", 20));
  EncoderState state = linear.start(2);
  CHECK_THROWS_WITH_AS(state.restore(full.start(2).named()),
                       doctest::Contains("no tensor layers.0.sum"), UserError);
  CHECK_THROWS_WITH_AS(
      state.restore(linear.start(3).named()),
      doctest::Contains("layers.0.sum is f32 [3, 2, 16, 16], and this model's state has f32 [2,"),
      UserError);
  const SequencePredictor exact(test::build_of(DType::f64), small_options("causal-linear", 20));
  CHECK_THROWS_WITH_AS(state.restore(exact.start(2).named()), doctest::Contains("is f64"),
                       UserError);
  SequencePredictorOptions deeper = small_options("causal-linear", 20);
  deeper.encoder.layers = 3;
  const SequencePredictor deep(test::build_of(), deeper);
  CHECK_THROWS_WITH_AS(state.restore(deep.start(2).named()),
                       doctest::Contains("there are 7 tensors, and this model's state has 5"),
                       UserError);
  NamedTensors negative = linear.start(2).named();
  negative[0].second = test::lengths_of({-1});
  CHECK_THROWS_WITH_AS(state.restore(negative), doctest::Contains("position is -1"), UserError);
}

}  // namespace
}  // namespace tarn::nn
