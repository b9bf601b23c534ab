#include "data/png.h"

#include <png.h>

#include <algorithm>

#include "core/check.h"

namespace tarn::data {
namespace {

constexpr std::int64_t kLine = 2;  // pixels between the tiles of a sheet
constexpr std::uint8_t kWhite = 255;

void check(const Picture& picture) {
  const ImageShape& shape = picture.shape;
  TARN_CHECK_SHAPE(shape.channels == 1 || shape.channels == 3, "a picture of ", shape.height, "x",
                   shape.width, " pixels has ", shape.channels, " channels, and not 1 or 3");
  TARN_CHECK_SHAPE(static_cast<std::int64_t>(picture.values.size()) == shape.values(),
                   "a picture of ", shape.height, "x", shape.width, "x", shape.channels, " has ",
                   picture.values.size(), " values");
}

}  // namespace

std::string encode_png(const Picture& picture) {
  check(picture);
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(picture.shape.width);
  image.height = static_cast<png_uint_32>(picture.shape.height);
  image.format = picture.shape.channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
  png_alloc_size_t bytes = PNG_IMAGE_PNG_SIZE_MAX(image);
  std::string out(bytes, '\0');
  const int written =
      png_image_write_to_memory(&image, out.data(), &bytes, 0, picture.values.data(), 0, nullptr);
  TARN_CHECK(written != 0, "cannot encode a PNG of ", picture.shape.height, "x",
             picture.shape.width, ": ", static_cast<const char*>(image.message));
  out.resize(bytes);
  return out;
}

Picture contact_sheet(std::span<const Picture> tiles, std::int64_t columns) {
  TARN_CHECK_SHAPE(!tiles.empty() && columns > 0, "a contact sheet needs tiles and columns");
  const ImageShape& tile = tiles.front().shape;
  const auto count = static_cast<std::int64_t>(tiles.size());
  const std::int64_t rows = (count + columns - 1) / columns;
  Picture sheet{
      {kLine + rows * (tile.height + kLine), kLine + columns * (tile.width + kLine), tile.channels},
      {}};
  sheet.values.assign(static_cast<std::size_t>(sheet.shape.values()), kWhite);
  for (std::int64_t i = 0; i < count; ++i) {
    const Picture& picture = tiles[static_cast<std::size_t>(i)];
    check(picture);
    TARN_CHECK_SHAPE(picture.shape == tile, "the tiles of a contact sheet differ in shape");
    const std::int64_t top = kLine + i / columns * (tile.height + kLine);
    const std::int64_t left = kLine + i % columns * (tile.width + kLine);
    for (std::int64_t y = 0; y < tile.height; ++y) {
      std::copy_n(picture.values.begin() + y * tile.width * tile.channels,
                  tile.width * tile.channels,
                  sheet.values.begin() + ((top + y) * sheet.shape.width + left) * tile.channels);
    }
  }
  return sheet;
}

}  // namespace tarn::data
