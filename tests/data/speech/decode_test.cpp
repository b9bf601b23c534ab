#include "data/speech/decode.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <map>
#include <string>

#include "tests/reference/ctc.h"

namespace tarn::data {
namespace {

using reference::Labels;

Tensor random_logits(std::int64_t frames, std::int64_t classes, std::uint64_t seed) {
  Tensor logits = Tensor::empty({frames, classes}, DType::f32, Device::cpu());
  test::fill_normal(logits, "logits", seed);
  return logits;
}

FrameLogits view(const Tensor& logits) {
  return {{logits.data<float>(), static_cast<std::size_t>(logits.elements())}, logits.size(1)};
}

// Probabilities near 1 for one class a frame.
Tensor spelt(const std::vector<int>& path, std::int64_t classes) {
  Tensor logits = test::full({static_cast<std::int64_t>(path.size()), classes}, DType::f32, 0);
  for (std::size_t t = 0; t < path.size(); ++t) {
    test::set(logits, {static_cast<std::int64_t>(t), path[t]}, 10);
  }
  return logits;
}

// The probability of every sequence of labels, summed over its paths.
std::map<Labels, double> all_labels(const Tensor& logits) {
  std::map<Labels, double> sums;
  reference::ctc_paths(
      reference::ctc_probabilities(logits, logits.size(0)), reference::at(logits.size(1)),
      [&](const Labels& path, double p) { sums[reference::ctc_collapse(path)] += p; });
  return sums;
}

TEST_CASE("decode: greedy joins repeats, drops blanks and says when") {
  const Tensor logits = spelt({0, 2, 2, 0, 2, 1, 1, 1, 0}, 4);
  const Hypothesis hypothesis = decode_greedy(view(logits));
  CHECK(hypothesis.labels() == std::vector<std::int32_t>{2, 2, 1});
  REQUIRE(hypothesis.phones.size() == 3);
  CHECK(hypothesis.phones[0].first == 1);
  CHECK(hypothesis.phones[0].end == 3);
  CHECK(hypothesis.phones[1].first == 4);
  CHECK(hypothesis.phones[1].end == 5);
  CHECK(hypothesis.phones[2].first == 5);
  CHECK(hypothesis.phones[2].end == 8);
  const double p = std::exp(10) / (std::exp(10) + 3);
  for (const AlignedPhone& phone : hypothesis.phones)
    CHECK(phone.probability == doctest::Approx(p));
  CHECK(hypothesis.log_probability == doctest::Approx(9 * std::log(p)));
}

TEST_CASE("decode: greedy is the likeliest path of all") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const Tensor logits = random_logits(5, 3, seed);
    double best = 0;
    Labels expected;
    reference::ctc_paths(reference::ctc_probabilities(logits, 5), 3,
                         [&](const Labels& path, double p) {
                           if (p > best) expected = reference::ctc_collapse(path);
                           best = std::max(best, p);
                         });
    const Hypothesis hypothesis = decode_greedy(view(logits));
    CHECK(hypothesis.labels() == expected);
    CHECK(hypothesis.log_probability == doctest::Approx(std::log(best)));
  }
}

TEST_CASE("decode: a beam that holds all prefixes finds the likeliest labels, and their sum") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    for (const std::int64_t frames : {1, 2, 5, 7}) {
      CAPTURE(message("seed ", seed, " frames ", frames));
      const Tensor logits = random_logits(frames, 3, seed);
      std::pair<Labels, double> best{{}, 0};
      for (const auto& entry : all_labels(logits)) {
        if (entry.second > best.second) best = entry;
      }
      const Hypothesis hypothesis = decode_beam(view(logits), 1 << 20);
      CHECK(hypothesis.labels() == best.first);
      CHECK(hypothesis.log_probability == doctest::Approx(std::log(best.second)).epsilon(1e-9));
    }
  }
}

TEST_CASE("decode: a small beam never claims more than the labels' probability") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const Tensor logits = random_logits(6, 4, seed);
    std::map<Labels, double> sums = all_labels(logits);
    for (const std::int64_t beam : {1, 2, 5}) {
      const Hypothesis hypothesis = decode_beam(view(logits), beam);
      CHECK(hypothesis.log_probability <= std::log(sums.at(hypothesis.labels())) + 1e-9);
    }
  }
}

TEST_CASE("decode: the beam's times are those of the labels' likeliest path") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const Tensor logits = random_logits(6, 3, seed);
    const Hypothesis hypothesis = decode_beam(view(logits), 50);
    double best = 0;
    Labels expected;
    reference::ctc_paths(reference::ctc_probabilities(logits, 6), 3,
                         [&](const Labels& path, double p) {
                           if (p <= best || reference::ctc_collapse(path) != hypothesis.labels())
                             return;
                           best = p;
                           expected = path;
                         });
    std::int64_t before = 0;
    for (const AlignedPhone& phone : hypothesis.phones) {
      CHECK(phone.first >= before);
      for (std::int64_t t = before; t < phone.first; ++t) CHECK(expected[reference::at(t)] == 0);
      for (std::int64_t t = phone.first; t < phone.end; ++t) {
        CHECK(expected[reference::at(t)] == phone.phone);
      }
      before = phone.end;
    }
    for (std::int64_t t = before; t < 6; ++t) CHECK(expected[reference::at(t)] == 0);
  }
}

TEST_CASE("decode: what many paths spell may beat the likeliest path") {
  // Two frames: the path of two blanks is likeliest (0.36), but 1 is spelt by three (0.64).
  Tensor logits = Tensor::empty({2, 2}, DType::f32, Device::cpu());
  for (std::int64_t t = 0; t < 2; ++t) {
    test::set(logits, {t, 0}, std::log(0.6));
    test::set(logits, {t, 1}, std::log(0.4));
  }
  CHECK(decode_greedy(view(logits)).labels().empty());
  const Hypothesis hypothesis = decode_beam(view(logits), 2);
  CHECK(hypothesis.labels() == std::vector<std::int32_t>{1});
  CHECK(hypothesis.log_probability == doctest::Approx(std::log(0.64)));
}

TEST_CASE("decode: sure frames give greedy and beam the same; no frames give nothing") {
  const Tensor logits = spelt({1, 1, 0, 1, 3, 0, 0, 2}, 4);
  const Hypothesis greedy = decode_greedy(view(logits)), beam = decode_beam(view(logits), 8);
  CHECK(greedy.labels() == beam.labels());
  for (std::size_t i = 0; i < greedy.phones.size(); ++i) {
    CHECK(greedy.phones[i].first == beam.phones[i].first);
    CHECK(greedy.phones[i].end == beam.phones[i].end);
    CHECK(greedy.phones[i].probability == doctest::Approx(beam.phones[i].probability));
  }
  CHECK(decode_greedy({{}, 4}).phones.empty());
  CHECK(decode_beam({{}, 4}, 3).phones.empty());
  CHECK(decode_beam({{}, 4}, 3).log_probability == 0);
  CHECK_THROWS_AS(decode_beam(view(logits), 0), Error);
}

TEST_CASE("decode: a long utterance") {
  const Hypothesis hypothesis = decode_beam(view(random_logits(400, 40, 1)), 4);
  CHECK(std::isfinite(hypothesis.log_probability));
  CHECK(hypothesis.phones.back().end <= 400);
}

TEST_CASE(
    "decode: a frame that is not finite is refused, with its number; classes that cannot be are "
    "not") {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  for (const double bad : {std::numeric_limits<double>::quiet_NaN(), kInfinity}) {
    for (const std::int64_t frame : {0, 2, 4}) {
      const Tensor logits = random_logits(5, 4, 1);
      test::set(logits, {frame, 1}, bad);
      const std::string expected = message("decode: the logits of frame ", frame, " of 5");
      CHECK_THROWS_WITH_AS(decode_greedy(view(logits)), doctest::Contains(expected.c_str()), Error);
      CHECK_THROWS_WITH_AS(decode_beam(view(logits), 3), doctest::Contains(expected.c_str()),
                           Error);
    }
  }
  const Tensor nothing = test::full({3, 4}, DType::f32, -kInfinity);
  CHECK_THROWS_AS(decode_beam(view(nothing), 3), Error);
  const Tensor sure = test::full({3, 4}, DType::f32, -kInfinity);
  for (const std::int64_t frame : {0, 1, 2}) test::set(sure, {frame, frame + 1}, 2);
  CHECK(decode_beam(view(sure), 3).labels() == std::vector<std::int32_t>{1, 2, 3});
  CHECK(decode_greedy(view(sure)).labels() == std::vector<std::int32_t>{1, 2, 3});
}

}  // namespace
}  // namespace tarn::data
