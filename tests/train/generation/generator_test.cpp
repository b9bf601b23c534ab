// The generation loop by itself: whom it asks, what it keeps, what it refuses.
#include <doctest/doctest.h>

#include <limits>

#include "core/check.h"
#include "tests/nn/tokens.h"
#include "train/generation/generate.h"

namespace tarn::train {
namespace {

constexpr std::int64_t kLength = 20;

nn::SequencePredictorOptions image_options(const std::string& attention = "causal-linear") {
  nn::SequencePredictorOptions options = test::small_options(attention, kLength - 1);
  options.vocabulary = 256;
  options.outputs = 9;
  return options;
}

bool go_on(std::int64_t /*values*/) { return true; }

TEST_CASE("generator: the given values are kept, and the watch sees each of the others") {
  for (const auto& [attention, mode] :
       {std::pair{"causal-linear", GenerateMode::recurrent},
        std::pair{"full", GenerateMode::cached}, std::pair{"full", GenerateMode::full}}) {
    const nn::SequencePredictor model(test::build_of(), image_options(attention));
    const Generator generator(model, {.mode = mode});
    for (const std::int64_t kept : {1, 2, 13, 19, 20}) {
      CAPTURE(kept);
      const Tensor given = test::random_tokens({3, kept}, 256, "given");
      std::int64_t next = kept;
      const Tensor values = generator.complete(given, kLength, 0, [&](std::int64_t position) {
        CHECK(position == next++);
        return true;
      });
      CHECK(next == kLength);
      REQUIRE(values.shape() == Shape{3, kLength});
      CHECK(test::max_abs_difference(values.slice(1, 0, kept), given) == 0);
      for (std::int64_t i = 0; i < values.elements(); ++i) {
        CHECK(test::get(values, i) >= 0);
        CHECK(test::get(values, i) <= 255);
      }
      // A sequence is its own, whatever is in the batch.
      const Tensor last = copy_to(given.slice(0, 2, 1), Device::cpu());
      CHECK(test::max_abs_difference(generator.complete(last, kLength, 2, go_on),
                                     values.slice(0, 2, 1)) == 0);
    }
  }
}

TEST_CASE("generator: the watch ends it") {
  const nn::SequencePredictor model(test::build_of(), image_options());
  const Generator generator(model, {});
  std::int64_t asked = 0;
  const Tensor values =
      generator.complete(test::lengths_of({0}).view({1, 1}), kLength, 0, [&](std::int64_t at) {
        ++asked;
        return at < 7;
      });
  CHECK_FALSE(values.defined());
  CHECK(asked == 7);  // for the values 1 to 7
}

TEST_CASE("generator: outputs that are not finite, and nothing to begin with, are errors") {
  const nn::SequencePredictor model(test::build_of(), image_options());
  CHECK_THROWS_WITH_AS(
      Generator(model, {}).complete(test::random_tokens({1, 21}, 256, "long"), kLength, 0, go_on),
      doctest::Contains("21 values of 20 are given"), ShapeError);
  CHECK_THROWS_WITH_AS(
      Generator(model, {}).complete(test::random_tokens({1, 1}, 256, "short"), 21, 0, go_on),
      doctest::Contains("21 values; the model was built for 20"), ShapeError);
  test::set(model.parameters().back()->value(), 0, std::numeric_limits<double>::infinity());
  for (const GenerateMode mode : {GenerateMode::recurrent, GenerateMode::full}) {
    const Generator generator(model, {.mode = mode});
    CHECK_THROWS_WITH_AS(
        generator.complete(test::random_tokens({2, 5}, 256, "given"), kLength, 0, go_on),
        "the model's outputs for value 5 are not finite", Error);
  }
}

TEST_CASE("generator: the modes of a kind of attention") {
  CHECK(find_generate_mode("", "causal-linear") == GenerateMode::recurrent);
  CHECK(find_generate_mode("", "full") == GenerateMode::cached);
  CHECK(find_generate_mode("full", "full") == GenerateMode::full);
  CHECK_THROWS_WITH_AS(find_generate_mode("recurrent", "full"),
                       "--mode recurrent: attention \"full\" generates in mode cached and full",
                       ConfigError);
}

}  // namespace
}  // namespace tarn::train
