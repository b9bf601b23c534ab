// The order of training, and batches of images as sequences.
#include "data/image_batches.h"

#include <doctest/doctest.h>

#include <cmath>
#include <map>
#include <set>
#include <vector>

#include "core/check.h"
#include "data/shuffle.h"
#include "tests/support/image_files.h"
#include "tests/support/random_tensor.h"

namespace tarn::data {
namespace {

using Order = std::vector<std::int64_t>;

Order order_of(std::int64_t count, const RngAddress& at) {
  Order order;
  for (std::int64_t i = 0; i < count; ++i) order.push_back(shuffled(i, count, at));
  return order;
}

bool is_permutation(const Order& order) {
  const std::set<std::int64_t> seen(order.begin(), order.end());
  return seen.size() == order.size() && *seen.begin() == 0 &&
         *seen.rbegin() == static_cast<std::int64_t>(order.size()) - 1;
}

ImageSet made_set(std::int64_t count, const ImageShape& shape) {
  const std::string values = test::made_values(count, shape.values());
  return {shape, count, {values.begin(), values.end()}, {}};
}

TEST_CASE("shuffle: every count has a permutation, another for each address") {
  for (std::int64_t count = 1; count <= 300; ++count) {
    CAPTURE(count);
    CHECK(is_permutation(order_of(count, {1, 2, 3})));
  }
  for (const std::int64_t count : {4095, 4096, 4097, 60000}) {
    CAPTURE(count);
    const Order order = order_of(count, {1, 2, 3});
    CHECK(is_permutation(order));
    CHECK(order == order_of(count, {1, 2, 3}));
    for (const RngAddress& other : {RngAddress{2, 2, 3}, {1, 3, 3}, {1, 2, 4}}) {
      CHECK(order != order_of(count, other));
    }
  }
  const std::int64_t most = (std::int64_t{1} << 31) - 1;
  for (const std::int64_t index : {std::int64_t{0}, most / 2, most - 1}) {
    const std::int64_t place = shuffled(index, most, {1, 2, 3});
    CHECK(0 <= place);
    CHECK(place < most);
  }
}

TEST_CASE("shuffle: every order of few elements comes as often as any other") {
  for (const int count : {2, 3, 4, 5}) {
    CAPTURE(count);
    std::map<Order, int> orders;
    constexpr int kDrawn = 24000;
    for (std::uint32_t step = 0; step < kDrawn; ++step) ++orders[order_of(count, {7, 1, step})];
    int possible = 1;
    for (int i = 2; i <= count; ++i) possible *= i;
    CHECK(static_cast<int>(orders.size()) == possible);
    // Chi squared: its mean is one less than the orders, its variance twice that.
    const double mean = static_cast<double>(kDrawn) / possible;
    double chi = 0;
    for (const auto& entry : orders) chi += (entry.second - mean) * (entry.second - mean) / mean;
    CHECK(chi < possible - 1 + 5 * std::sqrt(2.0 * (possible - 1)));
  }
}

TEST_CASE("shuffle: neighbours are torn apart, and no place keeps its element") {
  constexpr std::int64_t kCount = 10000;
  const Order order = order_of(kCount, {5, 6, 7});
  int rising = 0, next = 0, kept = 0;
  double product = 0;
  const double mean = (kCount - 1) / 2.0, variance = (kCount * kCount - 1.0) / 12;
  for (std::size_t i = 0; i + 1 < order.size(); ++i) {
    rising += order[i] < order[i + 1] ? 1 : 0;
    next += std::abs(order[i] - order[i + 1]) == 1 ? 1 : 0;
    kept += order[i] == static_cast<std::int64_t>(i) ? 1 : 0;
    product += (static_cast<double>(i) - mean) * (static_cast<double>(order[i]) - mean);
  }
  CHECK(std::abs(rising - kCount / 2) < 5 * std::sqrt(kCount / 12.0));
  CHECK(next < 15);  // 2 is to be expected of each
  CHECK(kept < 10);
  CHECK(std::abs(product / (kCount * variance)) < 5 / std::sqrt(1.0 * kCount));
}

TEST_CASE("image batches: x is all but the last value, target all but the first") {
  const ImageSet images = made_set(5, {2, 3, 3});
  for (const ImageBatch& batch :
       {training_batch(images, 0, 4, 1), evaluation_batch(images, 0, 4)}) {
    CHECK(batch.x.shape() == Shape{4, 17});
    CHECK(batch.target.shape() == Shape{4, 17});
    CHECK(batch.x.dtype() == DType::i32);
    CHECK(batch.target.dtype() == DType::i32);
  }
  const ImageBatch batch = training_batch(images, 0, 4, 1);
  for (std::int64_t b = 0; b < 4; ++b) {
    const auto image = images.image(training_image(b, 5, 1));
    const std::vector<double> values(image.begin(), image.end());
    CHECK(test::to_vector(batch.x.select(0, b)) ==
          std::vector<double>(values.begin(), values.end() - 1));
    CHECK(test::to_vector(batch.target.select(0, b)) ==
          std::vector<double>(values.begin() + 1, values.end()));
  }
}

TEST_CASE("image batches: training has every image once an epoch, in another order each time") {
  constexpr std::int64_t kCount = 63;
  std::vector<Order> epochs;
  for (int epoch = 0; epoch < 3; ++epoch) {
    Order order;
    for (std::int64_t i = 0; i < kCount; ++i) {
      order.push_back(training_image(epoch * kCount + i, kCount, 9));
    }
    CHECK(is_permutation(order));
    epochs.push_back(order);
  }
  CHECK(epochs[0] != epochs[1]);
  CHECK(epochs[1] != epochs[2]);
  CHECK(training_image(0, 1, 9) == 0);
  CHECK(training_image(1000, 1, 9) == 0);
}

TEST_CASE("image batches: training goes on over the ends of epochs, and over whole ones") {
  const ImageSet images = made_set(7, {2, 2, 1});
  for (const std::int64_t size : {1, 5, 7, 17}) {
    CAPTURE(size);
    std::int64_t position = 0;
    for (std::int64_t index = 0; index < 6; ++index) {
      const ImageBatch batch = training_batch(images, index, size, 3);
      for (std::int64_t b = 0; b < size; ++b, ++position) {
        const auto image = images.image(training_image(position, 7, 3));
        CHECK(test::to_vector(batch.x.select(0, b)) ==
              std::vector<double>(image.begin(), image.end() - 1));
      }
    }
  }
}

TEST_CASE("image batches: a batch is the same whatever was asked for before; seeds differ") {
  const ImageSet images = made_set(100, {4, 4, 1});
  const std::vector<double> fifth = test::to_vector(training_batch(images, 5, 8, 1).x);
  training_batch(images, 0, 3, 1);
  evaluation_batch(images, 0, 8);
  CHECK(test::to_vector(training_batch(images, 5, 8, 1).x) == fifth);
  CHECK(test::to_vector(training_batch(images, 6, 8, 1).x) != fifth);
  CHECK(test::to_vector(training_batch(images, 5, 8, 2).x) != fifth);
}

TEST_CASE("image batches: evaluation has the images in the order of the file") {
  const ImageSet images = made_set(10, {2, 2, 1});
  for (const auto& [first, size] : {std::pair{0, 1}, {0, 10}, {3, 4}, {9, 1}}) {
    const ImageBatch batch = evaluation_batch(images, first, size);
    REQUIRE(batch.x.size(0) == size);
    for (std::int64_t b = 0; b < size; ++b) {
      const auto image = images.image(first + b);
      CHECK(test::to_vector(batch.target.select(0, b)) ==
            std::vector<double>(image.begin() + 1, image.end()));
    }
  }
  for (const auto& [first, size] : {std::pair{-1, 2}, {0, 11}, {10, 1}, {3, 0}}) {
    CHECK_THROWS_AS(evaluation_batch(images, first, size), Error);
  }
}

}  // namespace
}  // namespace tarn::data
