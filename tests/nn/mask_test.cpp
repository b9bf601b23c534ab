#include <doctest/doctest.h>

#include "core/check.h"
#include "tests/nn/tokens.h"

namespace tarn::nn {
namespace {

using test::random_tokens;
using test::small_options;

TEST_CASE("mask: what padding holds, and that there is any, changes nothing before it") {
  const std::vector<double> lengths = {5, 12, 1};
  for (const std::string attention : {"full", "linear", "causal-linear", "lsh"}) {
    for (const bool causal : {false, true}) {
      if (attention == "linear" && causal) continue;
      if (attention == "causal-linear" && !causal) continue;
      CAPTURE(attention);
      CAPTURE(causal);
      const SequencePredictor model(test::build_of(), small_options(attention));
      const Tensor tokens = random_tokens({3, 12}, 11, "tokens");
      const Tensor others = random_tokens({3, 12}, 11, "others");
      for (std::int64_t b = 0; b < 3; ++b) {
        for (std::int64_t l = 0;
             l < static_cast<std::int64_t>(lengths[static_cast<std::size_t>(b)]); ++l) {
          test::set(others, {b, l}, test::get(tokens, {b, l}));
        }
      }
      const AttentionMask mask{.causal = causal, .lengths = test::lengths_of(lengths)};
      const Tensor out = model.forward(tokens, mask, {});
      const Tensor padded_otherwise = model.forward(others, mask, {});
      CHECK(std::isfinite(test::max_abs(out)));
      for (std::int64_t b = 0; b < 3; ++b) {
        const auto length = static_cast<std::int64_t>(lengths[static_cast<std::size_t>(b)]);
        CHECK(test::max_abs_difference(test::prefix(out, b, length),
                                       test::prefix(padded_otherwise, b, length)) == 0);
        // Alone and without padding.
        const Tensor alone = model.forward(copy_to(test::prefix(tokens, b, length), Device::cpu()),
                                           {.causal = causal, .lengths = {}}, {});
        CHECK(test::max_abs_difference(test::prefix(out, b, length), alone) < 2e-6);
      }
    }
  }
}

TEST_CASE("mask: a causal model's outputs do not depend on what comes later") {
  for (const char* attention : {"full", "causal-linear"}) {
    CAPTURE(attention);
    const SequencePredictor model(test::build_of(), small_options(attention));
    const Tensor a = random_tokens({2, 20}, 11, "a");
    const Tensor b = test::copy_of(a);
    for (std::int64_t l = 13; l < 20; ++l) test::set(b, {0, l}, 10 - test::get(a, {0, l}));
    const AttentionMask causal{.causal = true, .lengths = {}};
    const Tensor from_a = model.forward(a, causal, {}), from_b = model.forward(b, causal, {});
    CHECK(test::max_abs_difference(from_a.slice(1, 0, 13), from_b.slice(1, 0, 13)) == 0);
    CHECK(test::max_abs_difference(from_a, from_b) > 0.01);
  }
}

TEST_CASE("mask: without one every position sees all others") {
  for (const char* attention : {"full", "linear"}) {
    CAPTURE(attention);
    const SequencePredictor model(test::build_of(), small_options(attention));
    const Tensor a = random_tokens({1, 20}, 11, "a");
    const Tensor b = test::copy_of(a);
    test::set(b, {0, 19}, 10 - test::get(a, {0, 19}));
    const Tensor from_a = model.forward(a, {}, {}), from_b = model.forward(b, {}, {});
    CHECK(test::max_abs_difference(from_a.select(1, 0), from_b.select(1, 0)) > 1e-6);
  }
}

TEST_CASE("mask: kinds refuse the mask that is not theirs, and say which to use") {
  const Tensor tokens = random_tokens({1, 4}, 11, "a");
  const SequencePredictor linear(test::build_of(), small_options("linear"));
  CHECK_THROWS_WITH_AS(linear.forward(tokens, {.causal = true, .lengths = {}}, {}),
                       doctest::Contains("use \"causal-linear\" or \"full\""), ConfigError);
  const SequencePredictor causal(test::build_of(), small_options("causal-linear"));
  CHECK_THROWS_WITH_AS(causal.forward(tokens, {}, {}),
                       doctest::Contains("use \"linear\" or \"full\""), ConfigError);
}

}  // namespace
}  // namespace tarn::nn
