// Batches that are made before they are needed are those that are asked for.
#include "train/tasks/batches_ahead.h"

#include <doctest/doctest.h>

#include <vector>

#include "tests/support/devices.h"

namespace tarn::train {
namespace {

struct Batch {
  DeviceCopy x;
};

TEST_CASE("device: a batch is the one of its number, whichever was made ahead") {
  for (const Device device : test::devices()) {
    CAPTURE(device.str());
    std::vector<std::int64_t> made;
    BatchesAhead<Batch> batches(device, [&](std::int64_t index, const data::Shard& shard) {
      made.push_back(index);
      const std::int32_t values[] = {static_cast<std::int32_t>(100 * shard.index + index)};
      return Batch{{from_values<std::int32_t>(values, {1}, Device::cpu()), device}};
    });
    const auto value = [&](std::int64_t index, const data::Shard& shard) {
      return item(batches.take(index, shard).x.tensor());
    };
    for (const std::int64_t index : {0, 1, 2, 2, 7, 8}) CHECK(value(index, {}) == index);
    CHECK(value(9, {3, 4}) == 309);
    CHECK(value(9, {}) == 9);
    // On a device each is made once where they follow one another, and then the next one.
    const std::vector<std::int64_t> ahead = {0, 1, 2, 3, 2, 3, 7, 8, 9, 9, 10};
    const std::vector<std::int64_t> when_taken = {0, 1, 2, 2, 7, 8, 9, 9};
    CHECK(made == (device == Device::cpu() ? when_taken : ahead));
  }
}

}  // namespace
}  // namespace tarn::train
