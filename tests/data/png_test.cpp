#include "data/png.h"

#include <doctest/doctest.h>

#include "core/check.h"
#include "tests/support/png_reader.h"

namespace tarn::data {
namespace {

// Every value occurs, and no two rows are alike.
Picture made(const ImageShape& shape, int seed = 0) {
  Picture picture{shape, {}};
  for (std::int64_t i = 0; i < shape.values(); ++i) {
    picture.values.push_back(static_cast<std::uint8_t>(37 * seed + 11 * i + i / 7));
  }
  return picture;
}

std::vector<std::uint8_t> pixel(const Picture& picture, std::int64_t y, std::int64_t x) {
  const auto first =
      picture.values.begin() + (y * picture.shape.width + x) * picture.shape.channels;
  return {first, first + picture.shape.channels};
}

TEST_CASE("png: what is written is what is read, grey and RGB, of any size") {
  for (const std::int64_t channels : {1, 3}) {
    for (const std::int64_t height : {1, 3, 28, 63}) {
      for (const std::int64_t width : {1, 2, 28, 100, 257}) {
        const Picture picture = made({height, width, channels});
        const Picture read = test::read_png(encode_png(picture));
        CHECK(read.shape == picture.shape);
        CHECK(read.values == picture.values);
      }
    }
  }
}

TEST_CASE("png: channels and values that do not fit are errors") {
  CHECK_THROWS_WITH_AS(encode_png(made({4, 5, 2})),
                       "a picture of 4x5 pixels has 2 channels, and not 1 or 3", ShapeError);
  Picture short_one = made({4, 5, 3});
  short_one.values.pop_back();
  CHECK_THROWS_WITH_AS(encode_png(short_one), "a picture of 4x5x3 has 59 values", ShapeError);
}

TEST_CASE("contact sheet: tiles row by row, white between, around and where none is left") {
  for (const std::int64_t channels : {1, 3}) {
    std::vector<Picture> tiles;
    for (int i = 0; i < 5; ++i) tiles.push_back(made({3, 4, channels}, i));
    const Picture sheet = contact_sheet(tiles, 3);
    REQUIRE(sheet.shape == ImageShape{2 + 2 * 5, 2 + 3 * 6, channels});
    const std::vector<std::uint8_t> white(static_cast<std::size_t>(channels), 255);
    for (std::int64_t y = 0; y < sheet.shape.height; ++y) {
      for (std::int64_t x = 0; x < sheet.shape.width; ++x) {
        const std::int64_t in_y = (y + 3) % 5, in_x = (x + 4) % 6;
        const std::int64_t tile = (y - 2) / 5 * 3 + (x - 2) / 6;
        const bool inside = y >= 2 && x >= 2 && in_y < 3 && in_x < 4 && tile < 5;
        CHECK(pixel(sheet, y, x) ==
              (inside ? pixel(tiles[static_cast<std::size_t>(tile)], in_y, in_x) : white));
      }
    }
  }
}

TEST_CASE("contact sheet: no tiles, and tiles of two shapes, are errors") {
  CHECK_THROWS_AS(contact_sheet({}, 3), ShapeError);
  const std::vector<Picture> mixed{made({3, 4, 1}), made({4, 3, 1})};
  CHECK_THROWS_WITH_AS(contact_sheet(mixed, 2), "the tiles of a contact sheet differ in shape",
                       ShapeError);
}

}  // namespace
}  // namespace tarn::data
