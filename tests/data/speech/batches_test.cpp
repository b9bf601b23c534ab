#include "data/speech/batches.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/check.h"
#include "tests/support/random_tensor.h"

namespace tarn::data {
namespace {

using test::to_vector;

// Utterances of given lengths; frame t of utterance u holds u + 1 + t / 1000 in both bins.
struct Speech {
  SpeechFolder folder;
  SpeechFeatures features;

  explicit Speech(const std::vector<std::int64_t>& lengths) {
    for (std::size_t u = 0; u < lengths.size(); ++u) {
      Utterance utterance;
      utterance.id = message("u", u);
      for (std::size_t p = 0; p < u % 4; ++p) {
        utterance.phones.push_back(static_cast<std::int32_t>(1 + (u + p) % 7));
      }
      folder.utterances.push_back(utterance);
      Tensor frames = Tensor::empty({lengths[u], 2}, DType::f32, Device::cpu());
      for (std::int64_t i = 0; i < frames.elements(); ++i) {
        frames.mutable_data<float>()[i] =
            static_cast<float>(u + 1) + static_cast<float>(i / 2) / 1000;
      }
      features.frames.push_back(frames);
    }
  }
};

// Lengths as of speech: many of middle length, some short, few long.
Speech made_speech(std::int64_t count, std::uint64_t seed = 1) {
  std::vector<std::int64_t> lengths;
  for (std::int64_t u = 0; u < count; ++u) {
    const RngAddress at{seed, site_of("lengths"), 0};
    const auto part = [&](std::uint64_t i) {
      return random_below(at, static_cast<std::uint64_t>(3 * u) + i, 200);
    };
    lengths.push_back(50 + part(0) + part(1) + part(2));
  }
  return Speech(lengths);
}

// That the tensors hold what the utterances have, and zeros behind it.
void check_content(const Speech& speech, const SpeechBatch& batch) {
  const auto rows = static_cast<std::int64_t>(batch.utterances.size());
  const std::int64_t longest = batch.features.size(1), most = batch.labels.size(1);
  REQUIRE(batch.features.shape() == Shape{rows, longest, 2});
  REQUIRE(batch.lengths.shape() == Shape{rows});
  REQUIRE(batch.labels.shape() == Shape{rows, most});
  REQUIRE(batch.label_lengths.shape() == Shape{rows});
  std::int64_t longest_row = 0, most_row = 0;
  for (std::int64_t row = 0; row < rows; ++row) {
    const auto u = static_cast<std::size_t>(batch.utterances[static_cast<std::size_t>(row)]);
    auto frames = to_vector(speech.features.frames[u]);
    CHECK(batch.lengths.data<std::int32_t>()[row] == speech.features.frames[u].size(0));
    longest_row = std::max(longest_row, speech.features.frames[u].size(0));
    frames.resize(static_cast<std::size_t>(2 * longest), 0);
    CHECK(to_vector(batch.features.select(0, row)) == frames);
    const auto& phones = speech.folder.utterances[u].phones;
    std::vector<double> labels(phones.begin(), phones.end());
    CHECK(batch.label_lengths.data<std::int32_t>()[row] ==
          static_cast<std::int32_t>(phones.size()));
    most_row = std::max(most_row, static_cast<std::int64_t>(phones.size()));
    labels.resize(static_cast<std::size_t>(most), 0);
    CHECK(to_vector(batch.labels.select(0, row)) == labels);
  }
  CHECK(longest == longest_row);
  CHECK(most == most_row);
}

TEST_CASE("speech batches: every utterance once an epoch, within the budget") {
  for (const std::int64_t count : {1, 2, 63, 257}) {
    for (const std::int64_t budget : {1, 700, 3000, 1000000}) {
      CAPTURE(count);
      CAPTURE(budget);
      const Speech speech = made_speech(count);
      const SpeechBatches batches(speech.folder, speech.features, {.frames = budget, .seed = 3});
      const auto check_pass = [&](auto batch_at) {
        std::multiset<std::int64_t> seen;
        for (std::int64_t i = 0; i < batches.per_epoch(); ++i) {
          const SpeechBatch batch = batch_at(i);
          const bool fits = batch.features.size(0) * batch.features.size(1) <= budget;
          CHECK((fits || batch.utterances.size() == 1));
          seen.insert(batch.utterances.begin(), batch.utterances.end());
        }
        CHECK(static_cast<std::int64_t>(seen.size()) == count);
        CHECK(std::set<std::int64_t>(seen.begin(), seen.end()).size() == seen.size());
      };
      check_pass([&](std::int64_t i) { return batches.evaluation(i); });
      for (const std::int64_t epoch : {0, 1, 50}) {
        check_pass(
            [&](std::int64_t i) { return batches.training(epoch * batches.per_epoch() + i); });
      }
    }
  }
}

TEST_CASE("speech batches: what is in them") {
  const Speech speech = made_speech(63);
  const SpeechBatches batches(speech.folder, speech.features, {.frames = 3000});
  for (std::int64_t i = 0; i < batches.per_epoch(); ++i) {
    check_content(speech, batches.training(i));
    check_content(speech, batches.evaluation(i));
  }
  // Nobody says anything.
  Speech silent({5, 4, 4});
  for (Utterance& utterance : silent.folder.utterances) utterance.phones.clear();
  const SpeechBatches none(silent.folder, silent.features, {.frames = 100});
  CHECK(none.evaluation(0).labels.shape() == Shape{3, 0});
  check_content(silent, none.evaluation(0));
}

TEST_CASE("speech batches: a function of seed and index alone") {
  const Speech speech = made_speech(257);
  const SpeechBatchOptions options{.frames = 3000, .seed = 5};
  const SpeechBatches batches(speech.folder, speech.features, options);
  const std::int64_t epoch = batches.per_epoch();
  const auto order = [epoch](const SpeechBatches& of, std::int64_t first) {
    std::vector<std::vector<std::int64_t>> all;
    for (std::int64_t i = first; i < first + epoch; ++i) all.push_back(of.training(i).utterances);
    return all;
  };
  const auto sorted = [](std::vector<std::vector<std::int64_t>> all) {
    for (auto& one : all) std::sort(one.begin(), one.end());
    std::sort(all.begin(), all.end());
    return all;
  };
  const auto third = order(batches, 3 * epoch);
  CHECK(order(SpeechBatches(speech.folder, speech.features, options), 3 * epoch) == third);
  // Other epochs and seeds have other batches in another order.
  CHECK(sorted(order(batches, 0)) != sorted(third));
  const SpeechBatches other(speech.folder, speech.features, {.frames = 3000, .seed = 6});
  CHECK(sorted(order(other, 3 * epoch)) != sorted(third));
  // Lengths come in no order; evaluation's fall.
  std::vector<std::int64_t> lengths, fixed;
  for (std::int64_t i = 0; i < epoch; ++i) {
    lengths.push_back(batches.training(i).features.size(1));
    fixed.push_back(batches.evaluation(i).features.size(1));
  }
  CHECK_FALSE(std::is_sorted(lengths.rbegin(), lengths.rend()));
  CHECK(std::is_sorted(fixed.rbegin(), fixed.rend()));
}

TEST_CASE("speech batches: little padding, and few small batches") {
  const Speech speech = made_speech(1000);
  const SpeechBatches batches(speech.folder, speech.features, {.frames = 5000});
  double frames = 0, padded = 0;
  for (std::int64_t i = 0; i < batches.per_epoch(); ++i) {
    const SpeechBatch batch = batches.training(i);
    padded += static_cast<double>(batch.features.size(0) * batch.features.size(1));
    for (const double length : to_vector(batch.lengths)) frames += length;
  }
  CHECK(frames / padded > 0.88);
  CHECK(static_cast<double>(batches.per_epoch()) < 1.25 * frames / 5000);
}

// The shortest of a bucket has at least four fifths of its longest's frames.
TEST_CASE("speech batches: lengths that differ by up to a fifth meet, and others never") {
  const Speech speech({100, 100, 80, 80, 79, 79});
  const SpeechBatches batches(speech.folder, speech.features, {.frames = 200});
  REQUIRE(batches.per_epoch() == 3);
  std::set<std::pair<double, double>> met;
  for (std::int64_t i = 0; i < 50 * batches.per_epoch(); ++i) {
    std::vector<double> lengths = to_vector(batches.training(i).lengths);
    std::sort(lengths.begin(), lengths.end());
    REQUIRE(lengths.size() == 2);
    met.emplace(lengths[0], lengths[1]);
  }
  CHECK(met == std::set<std::pair<double, double>>{{80, 80}, {80, 100}, {100, 100}, {79, 79}});
}

TEST_CASE("speech batches: mistakes") {
  const Speech speech = made_speech(3);
  const Speech other = made_speech(4);
  CHECK_THROWS_WITH_AS(SpeechBatches(speech.folder, speech.features, {.frames = 0}),
                       doctest::Contains("a budget of 0 frames"), ConfigError);
  CHECK_THROWS_WITH_AS(SpeechBatches(speech.folder, other.features, {.frames = 10}),
                       doctest::Contains("features are of another folder"), Error);
  const SpeechBatches batches(speech.folder, speech.features, {.frames = 10});
  CHECK_THROWS_WITH_AS(batches.evaluation(3), doctest::Contains("there is no batch 3 of 3"), Error);
}

}  // namespace
}  // namespace tarn::data
