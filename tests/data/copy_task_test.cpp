#include "data/copy_task.h"

#include <doctest/doctest.h>

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "core/check.h"
#include "tests/support/random_tensor.h"

namespace tarn::data {
namespace {

using test::to_vector;
using Row = std::vector<std::int32_t>;

Row row(const Tensor& t, std::int64_t b) {
  const std::int32_t* first = t.data<std::int32_t>() + b * t.size(1);
  return Row(first, first + t.size(1));
}

// How many symbols precede the separator.
std::int64_t symbols_of(const Row& x) {
  std::int64_t n = 0;
  while (x[static_cast<std::size_t>(n)] != 0) ++n;
  return n;
}

// The definition, written out; returns n.
std::int64_t check_example(const CopyBatch& batch, std::int64_t b, std::int64_t length,
                           std::int64_t symbols) {
  const Row x = row(batch.x, b), y = row(batch.y, b);
  const std::int64_t n = symbols_of(x);
  REQUIRE(2 * n + 1 <= length);
  Row expected(static_cast<std::size_t>(length), 0), shifted = expected;
  std::vector<double> mask(static_cast<std::size_t>(length), 0);
  for (std::int64_t i = 0; i < n; ++i) {
    const auto symbol = x[static_cast<std::size_t>(i)];
    CHECK(symbol >= 1);
    CHECK(symbol <= symbols);
    expected[static_cast<std::size_t>(i)] = expected[static_cast<std::size_t>(n + 1 + i)] = symbol;
  }
  for (std::size_t i = 0; i + 1 < expected.size(); ++i) shifted[i] = expected[i + 1];
  for (std::int64_t i = n - 1; i <= 2 * n - 1; ++i) mask[static_cast<std::size_t>(i)] = 1;
  CHECK(x == expected);
  CHECK(y == shifted);
  CHECK(to_vector(batch.mask.select(0, b)) == mask);
  return n;
}

bool equal(const CopyBatch& a, const CopyBatch& b) {
  return to_vector(a.x) == to_vector(b.x) && to_vector(a.y) == to_vector(b.y) &&
         to_vector(a.mask) == to_vector(b.mask);
}

TEST_CASE("copy task: every example is as the authors define it") {
  for (const std::int64_t length : {5, 8, 9, 16, 31, 128}) {
    CAPTURE(length);
    const CopyTask task({.sequence_length = length, .symbols = 10, .seed = 3});
    const CopyBatch batch = task.batch("train", 0, 64);
    CHECK(batch.x.shape() == Shape{64, length});
    CHECK(batch.x.dtype() == DType::i32);
    CHECK(batch.y.dtype() == DType::i32);
    CHECK(batch.mask.dtype() == DType::f32);
    for (std::int64_t b = 0; b < 64; ++b) {
      const std::int64_t n = check_example(batch, b, length, 10);
      CHECK(n >= length / 4);
      CHECK(n <= (length - 1) / 2 - 1);
    }
  }
}

TEST_CASE("copy task: lengths of 128 repeat 32 to 62 symbols, all as often") {
  const CopyTask task({.sequence_length = 128, .symbols = 10, .seed = 1});
  CHECK(task.shortest() == 32);
  CHECK(task.longest() == 62);
  std::map<std::int64_t, int> lengths;
  std::map<std::int32_t, int> symbols;
  constexpr int kBatches = 50, kSize = 64;
  int drawn = 0;
  for (int i = 0; i < kBatches; ++i) {
    const CopyBatch batch = task.batch("train", i, kSize);
    for (std::int64_t b = 0; b < kSize; ++b) {
      const Row x = row(batch.x, b);
      const std::int64_t n = symbols_of(x);
      ++lengths[n];
      for (std::int64_t j = 0; j < n; ++j) ++symbols[x[static_cast<std::size_t>(j)]];
      drawn += static_cast<int>(n);
    }
  }
  // Within five standard deviations of the same share each.
  const auto check_share = [](int count, double total, double choices) {
    const double mean = total / choices;
    CHECK(std::abs(count - mean) < 5 * std::sqrt(mean));
  };
  CHECK(lengths.size() == 31);
  CHECK(lengths.begin()->first == 32);
  CHECK(lengths.rbegin()->first == 62);
  for (const auto& [n, count] : lengths) check_share(count, kBatches * kSize, 31);
  CHECK(symbols.size() == 10);
  for (const auto& [symbol, count] : symbols) check_share(count, drawn, 10);
}

TEST_CASE("copy task: a batch is the same whatever was drawn before, and by whom") {
  const CopyTaskOptions options{.sequence_length = 32, .symbols = 10, .seed = 7};
  const CopyTask task(options);
  const CopyBatch fifth = task.batch("train", 5, 8);
  task.batch("train", 0, 8);
  task.batch("evaluation", 5, 3);
  CHECK(equal(task.batch("train", 5, 8), fifth));
  CHECK(equal(CopyTask(options).batch("train", 5, 8), fifth));
}

TEST_CASE("copy task: batches, streams and seeds differ from each other") {
  CopyTaskOptions options{.sequence_length = 32, .symbols = 10, .seed = 7};
  const CopyTask task(options);
  const CopyBatch batch = task.batch("train", 5, 8);
  CHECK_FALSE(equal(task.batch("train", 6, 8), batch));
  CHECK_FALSE(equal(task.batch("evaluation", 5, 8), batch));
  options.seed = 8;
  CHECK_FALSE(equal(CopyTask(options).batch("train", 5, 8), batch));
  // And so do the examples of one batch.
  for (std::int64_t b = 1; b < 8; ++b) CHECK(row(batch.x, b) != row(batch.x, 0));
}

TEST_CASE("copy task: other numbers of symbols, down to one") {
  const CopyTask one({.sequence_length = 16, .symbols = 1, .seed = 1});
  const CopyBatch batch = one.batch("train", 0, 16);
  for (std::int64_t b = 0; b < 16; ++b) check_example(batch, b, 16, 1);
  const CopyTask many({.sequence_length = 16, .symbols = 1000, .seed = 1});
  CHECK(test::max_abs(many.batch("train", 0, 16).x) > 500);
}

TEST_CASE("copy task: the shortest lengths, and those that are too short") {
  // A quarter of the length must be a symbol at least, and no more than what fits twice.
  for (std::int64_t length = 1; length <= 40; ++length) {
    CAPTURE(length);
    const bool possible = length / 4 >= 1 && length / 4 <= (length - 1) / 2 - 1;
    const CopyTaskOptions options{.sequence_length = length};
    if (possible) {
      CHECK_NOTHROW(CopyTask{options});
    } else {
      const std::string expected =
          message("task.sequence_length ", length, " is too short for the copy task");
      CHECK_THROWS_WITH_AS(CopyTask{options}, doctest::Contains(expected.c_str()), ConfigError);
    }
  }
}

}  // namespace
}  // namespace tarn::data
