#include "data/speech/augment.h"

#include <doctest/doctest.h>

#include <set>

#include "tests/support/random_tensor.h"

namespace tarn::data {
namespace {

using test::get;

SpeechBatch batch_of(const std::vector<double>& lengths, std::int64_t frames, std::int64_t bins) {
  const auto size = static_cast<std::int64_t>(lengths.size());
  SpeechBatch batch;
  batch.features = test::full({size, frames, bins}, DType::f32, 0);
  for (std::int64_t n = 0; n < size; ++n) {
    const auto length = static_cast<std::int64_t>(lengths[static_cast<std::size_t>(n)]);
    test::fill_normal(batch.features.select(0, n).slice(0, 0, length), message("features", n));
  }
  batch.lengths = test::from_vector({size}, lengths, DType::i32);
  return batch;
}

SpeechBatch copy_of(const SpeechBatch& batch) {
  SpeechBatch copy = batch;
  copy.features = test::copy_of(batch.features);
  return copy;
}

TEST_CASE("stack_frames: neighbours side by side, the last filled with zeros") {
  const SpeechBatch batch = batch_of({7, 1, 6}, 7, 2);
  const SpeechBatch stacked = stack_frames(batch, 3);
  CHECK(stacked.features.shape() == Shape{3, 3, 6});
  CHECK(test::to_vector(stacked.lengths) == std::vector<double>{3, 1, 2});
  for (std::int64_t n = 0; n < 3; ++n) {
    for (std::int64_t i = 0; i < 9 * 2; ++i) {
      const double expected = i < 14 ? get(batch.features, {n, i / 2, i % 2}) : 0;
      CHECK(get(stacked.features, {n, i / 6, i % 6}) == expected);
    }
  }
  CHECK(stack_frames(batch, 1).features.shares_storage_with(batch.features));
}

TEST_CASE("stack_frames: with context on either side, zeros beyond the ends") {
  const SpeechBatch batch = batch_of({63, 1, 5}, 63, 2);
  for (const auto& [count, context] : {std::pair{1, 3}, {3, 4}, {5, 70}}) {
    const SpeechBatch stacked = stack_frames(batch, count, context);
    const std::int64_t width = count + 2 * context, positions = (63 + count - 1) / count;
    REQUIRE(stacked.features.shape() == Shape{3, positions, width * 2});
    for (std::int64_t n = 0; n < 3; ++n) {
      const auto length = static_cast<std::int64_t>(get(batch.lengths, {n}));
      const std::int64_t own = (length + count - 1) / count;
      CHECK(get(stacked.lengths, {n}) == static_cast<double>(own));
      for (std::int64_t t = 0; t < positions; ++t) {
        for (std::int64_t w = 0; w < width; ++w) {
          const std::int64_t frame = t * count - context + w;
          const bool there = t < own && frame >= 0 && frame < length;
          for (std::int64_t c = 0; c < 2; ++c) {
            const double expected = there ? get(batch.features, {n, frame, c}) : 0;
            REQUIRE(get(stacked.features, {n, t, w * 2 + c}) == expected);
          }
        }
      }
    }
  }
}

TEST_CASE("stack_frames: an utterance alone stacks as it does beside a longer one") {
  const SpeechBatch together = batch_of({5, 31}, 31, 3), alone = batch_of({5}, 5, 3);
  for (const std::int64_t context : {0, 2}) {
    const Tensor a = stack_frames(together, 4, context).features;
    const Tensor b = stack_frames(alone, 4, context).features;
    CHECK(b.shape() == Shape{1, 2, (4 + 2 * context) * 3});
    CHECK(test::max_abs_difference(a.slice(0, 0, 1).slice(1, 0, 2), b) == 0);
  }
}

// The places of an utterance where the features were set to 0.
std::set<std::int64_t> hidden_rows(const Tensor& utterance, std::int64_t length) {
  std::set<std::int64_t> rows;
  for (std::int64_t t = 0; t < length; ++t) {
    if (test::max_abs(utterance.select(0, t)) == 0) rows.insert(t);
  }
  return rows;
}

TEST_CASE("mask_features: stretches of time and bands of bins, within their widths") {
  const SpeechBatch before = batch_of({100, 257, 1, 3}, 257, 40);
  std::set<std::size_t> widths;
  for (std::uint32_t step = 0; step < 50; ++step) {
    const SpeechBatch batch = copy_of(before);
    mask_features(batch, {.time_masks = 2, .time_width = 15}, {1, site_of("masks"), step});
    for (std::int64_t n = 0; n < 4; ++n) {
      const auto length = static_cast<std::int64_t>(get(batch.lengths, n));
      const auto rows = hidden_rows(batch.features.select(0, n), length);
      const auto most = static_cast<std::size_t>(2 * std::min<std::int64_t>(15, length / 5));
      CHECK(rows.size() <= most);
      if (n == 0) widths.insert(rows.size());
      for (std::int64_t t = 0; t < 257; ++t) {
        if (rows.contains(t)) continue;
        CHECK(test::max_abs_difference(batch.features.select(0, n).select(0, t),
                                       before.features.select(0, n).select(0, t)) == 0);
      }
    }
  }
  CHECK(widths.size() > 10);
}

TEST_CASE("mask_features: a band is hidden in every frame of the utterance") {
  const SpeechBatch before = batch_of({63}, 63, 40);
  std::set<std::size_t> widths;
  for (std::uint32_t step = 0; step < 50; ++step) {
    const SpeechBatch batch = copy_of(before);
    mask_features(batch, {.bin_masks = 1, .bin_width = 8}, {1, site_of("masks"), step});
    std::set<std::int64_t> bins;
    for (std::int64_t c = 0; c < 40; ++c) {
      if (test::max_abs(batch.features.select(0, 0).select(1, c)) == 0) bins.insert(c);
    }
    CHECK(bins.size() <= 8);
    if (!bins.empty()) {
      CHECK(*bins.rbegin() - *bins.begin() + 1 == static_cast<std::int64_t>(bins.size()));
    }
    widths.insert(bins.size());
  }
  CHECK(widths.size() == 9);
}

TEST_CASE("mask_features: drawn by address") {
  const SpeechBatch a = batch_of({63, 50}, 63, 40), b = copy_of(a), c = copy_of(a);
  const MaskOptions options{.time_masks = 2, .time_width = 9, .bin_masks = 2, .bin_width = 9};
  mask_features(a, options, {1, site_of("masks"), 5});
  mask_features(b, options, {1, site_of("masks"), 5});
  mask_features(c, options, {1, site_of("masks"), 6});
  CHECK(test::max_abs_difference(a.features, b.features) == 0);
  CHECK(test::max_abs_difference(a.features, c.features) > 0);
  CHECK(options.any());
  CHECK_FALSE(MaskOptions{.time_masks = 2}.any());
}

}  // namespace
}  // namespace tarn::data
