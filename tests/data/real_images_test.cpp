// MNIST and CIFAR-10 themselves, where they are there. The checksums are of pixels row by row, a
// pixel's channels together, and were computed by other means than tarn's.
#include <doctest/doctest.h>

#include <map>
#include <string_view>

#include "core/io/file.h"
#include "data/images.h"
#include "tests/support/optional_data.h"

namespace tarn::data {
namespace {

std::uint32_t checksum(std::span<const std::uint8_t> bytes) {
  return crc32_of({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

std::vector<int> count_labels(const ImageSet& set) {
  std::vector<int> counts(10, 0);
  for (const std::uint8_t label : set.labels) ++counts.at(label);
  return counts;
}

TEST_CASE("real images: MNIST") {
  const std::filesystem::path data = test::optional_data("data/mnist");
  if (data.empty()) return;
  const ImageFolder images = open_image_folder(data / "data/mnist");
  CHECK(images.train.count == 60000);
  CHECK(images.test.count == 10000);
  CHECK(images.train.shape == ImageShape{28, 28, 1});
  CHECK(checksum(images.train.pixels) == 0xf3639b56);
  CHECK(checksum(images.test.pixels) == 0xe4ca5f57);
  CHECK(checksum(images.train.image(0)) == 0x90a92752);
  CHECK(checksum(images.train.image(1)) == 0xd255b308);
  CHECK(checksum(images.train.image(59999)) == 0x62a9d57d);
  CHECK(checksum(images.test.image(0)) == 0x7eb3cd06);
  CHECK(checksum(images.test.image(9999)) == 0xf15d81cb);
  CHECK(images.train.labels[0] == 5);  // the first image is a five, and everyone has seen it
  CHECK(count_labels(images.train) ==
        std::vector<int>{5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949});
  CHECK(count_labels(images.test) ==
        std::vector<int>{980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009});
}

TEST_CASE("real images: CIFAR-10") {
  const std::filesystem::path data = test::optional_data("data/cifar10");
  if (data.empty()) return;
  const ImageFolder images = open_image_folder(data / "data/cifar10");
  CHECK(images.train.count >= 10000);  // of one batch or more
  CHECK(images.test.count == 10000);
  CHECK(images.train.shape == ImageShape{32, 32, 3});
  CHECK(checksum(images.train.image(0)) == 0x154086ba);
  CHECK(checksum(images.train.image(1)) == 0x57071df5);
  CHECK(checksum(images.train.image(9999)) == 0x6d73bc63);
  CHECK(checksum(images.test.image(0)) == 0x9b4c7e75);
  CHECK(checksum(images.test.image(1)) == 0x185e0a1f);
  CHECK(checksum(images.test.image(9999)) == 0xbc8294b0);
  CHECK(images.train.labels[0] == 6);
  CHECK(count_labels(images.test) == std::vector<int>(10, 1000));
  const std::vector<std::string> classes = {"airplane", "automobile", "bird",  "cat",  "deer",
                                            "dog",      "frog",       "horse", "ship", "truck"};
  CHECK(images.classes == classes);
}

}  // namespace
}  // namespace tarn::data
