// Shards of a batch, one after another, are the batch.
#include "data/shard.h"

#include <doctest/doctest.h>

#include "data/copy_task.h"
#include "data/drawn_images.h"
#include "data/image_batches.h"
#include "tests/support/random_tensor.h"

namespace tarn::data {
namespace {

constexpr std::int64_t kSize = 7;

// Appends the values of part(shard) for all shards.
template <class Part>
std::vector<double> joined_parts(std::int64_t count, const Part& part) {
  std::vector<double> all;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::vector<double> values = test::to_vector(part(Shard{i, count}));
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

TEST_CASE("shard: ranges follow each other and differ by one row at most") {
  for (std::int64_t count = 1; count <= 9; ++count) {
    for (std::int64_t rows = 0; rows <= 20; ++rows) {
      std::int64_t next = 0;
      for (std::int64_t i = 0; i < count; ++i) {
        const Range range = range_of({i, count}, rows);
        CHECK(range.first == next);
        CHECK(range.count >= rows / count);
        CHECK(range.count <= (rows + count - 1) / count);
        next += range.count;
      }
      CHECK(next == rows);
    }
  }
}

TEST_CASE("shard: of a batch of the copy task") {
  const CopyTask task({.sequence_length = 32, .symbols = 9, .seed = 3});
  const CopyBatch whole = task.batch("train", 5, kSize);
  std::int64_t targets = 0;
  for (const std::int64_t count : {1, 2, 5, 7}) {
    const auto part = [&](const Shard& shard) { return task.batch("train", 5, kSize, shard); };
    CHECK(joined_parts(count, [&](const Shard& s) { return part(s).x; }) ==
          test::to_vector(whole.x));
    CHECK(joined_parts(count, [&](const Shard& s) { return part(s).y; }) ==
          test::to_vector(whole.y));
    CHECK(joined_parts(count, [&](const Shard& s) { return part(s).mask; }) ==
          test::to_vector(whole.mask));
    targets = 0;
    for (std::int64_t i = 0; i < count; ++i) targets += task.targets("train", 5, kSize, {i, count});
    CHECK(targets == task.targets("train", 5, kSize));
  }
  double masked = 0;
  for (const double value : test::to_vector(whole.mask)) masked += value;
  CHECK(masked == static_cast<double>(targets));
}

TEST_CASE("shard: of a batch of images") {
  const ImageSet images = draw_images({5, 4, 1}, 10, "train", 1);
  const ImageBatch whole = training_batch(images, 3, kSize, 2);
  for (const std::int64_t count : {1, 2, 5, 7}) {
    const auto part = [&](const Shard& s) { return training_batch(images, 3, kSize, 2, s).x; };
    CHECK(joined_parts(count, part) == test::to_vector(whole.x));
  }
}

}  // namespace
}  // namespace tarn::data
