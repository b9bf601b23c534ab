#include "data/drawn_images.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "core/check.h"
#include "tests/support/image_files.h"
#include "tests/support/temp_dir.h"

namespace tarn::data {
namespace {

namespace fs = std::filesystem;

TEST_CASE("drawn images: the folder reads back as it was drawn") {
  const test::TempDir dir;
  for (const ImageShape& shape : {ImageShape{28, 28, 1}, {9, 14, 3}, {4, 4, 1}}) {
    const fs::path folder = dir / shape.str() / "";
    const ImageSet train = draw_images(shape, 25, "train", 1);
    const ImageSet test = draw_images(shape, 5, "test", 1);
    write_image_folder(folder, train, test);
    const ImageFolder images = open_image_folder(folder);
    CHECK(images.train.shape == shape);
    CHECK(images.train.pixels == train.pixels);
    CHECK(images.train.labels == train.labels);
    CHECK(images.test.pixels == test.pixels);
    CHECK(images.test.labels == test.labels);
  }
}

TEST_CASE("drawn images: image n is the same however many there are; streams and seeds differ") {
  const ImageShape shape{12, 12, 1};
  const ImageSet many = draw_images(shape, 30, "train", 1);
  const ImageSet few = draw_images(shape, 20, "train", 1);
  CHECK(std::equal(few.pixels.begin(), few.pixels.end(), many.pixels.begin()));
  CHECK(draw_images(shape, 20, "test", 1).pixels != few.pixels);
  CHECK(draw_images(shape, 20, "train", 2).pixels != few.pixels);
}

TEST_CASE("drawn images: each shows a figure of its own, bright on nothing") {
  const ImageSet set = draw_images({28, 28, 1}, 200, "train", 1);
  std::set<std::vector<std::uint8_t>> different;
  for (std::int64_t n = 0; n < set.count; ++n) {
    CAPTURE(n);
    const auto image = set.image(n);
    different.insert({image.begin(), image.end()});
    CHECK(set.labels[static_cast<std::size_t>(n)] == n % 10);
    CHECK(*std::max_element(image.begin(), image.end()) >= 110);
    const auto dark = std::count(image.begin(), image.end(), std::uint8_t{0});
    CHECK(dark > 784 / 3);
    CHECK(dark < 784 - 20);
  }
  CHECK(different.size() == 200);
}

TEST_CASE("drawn images: shapes and counts that cannot be") {
  const auto refused = [](const ImageShape& shape, std::int64_t count, const char* expected) {
    CHECK_THROWS_WITH_AS(draw_images(shape, count, "train", 1), doctest::Contains(expected),
                         ConfigError);
  };
  refused({3, 28, 1}, 1, "images of 3x28 cannot be drawn: sides must be 4 to 1024");
  refused({28, 1025, 1}, 1, "sides must be 4 to 1024");
  refused({28, 28, 2}, 1, "images of 28x28x2 cannot be drawn: channels must be 1 or 3");
  refused({28, 28, 1}, 0, "0 images of 28x28 cannot be drawn: expected 1 to 1369568");
  refused({1024, 1024, 3}, 1000, "expected 1 to 341");
}

TEST_CASE("drawn images: a folder that is there already is left as it is") {
  const test::TempDir dir;
  const ImageSet set = draw_images({4, 4, 1}, 3, "train", 1);
  fs::create_directory(dir / "full");
  test::write_bytes(dir / "full/other", "kept");
  fs::create_symlink("nowhere", dir / "link");
  for (const char* name : {"full", "full/other", "link"}) {
    const std::string expected = message("cannot make ", (dir / name).string(), ": it exists");
    CHECK_THROWS_WITH_AS(write_image_folder(dir / name, set, set),
                         doctest::Contains(expected.c_str()), IoError);
  }
  CHECK(fs::file_size(dir / "full/other") == 4);
  CHECK_THROWS_AS(write_image_folder(dir / "full/other/below", set, set), IoError);
  CHECK(std::distance(fs::directory_iterator(dir.path()), fs::directory_iterator()) == 2);
}

}  // namespace
}  // namespace tarn::data
