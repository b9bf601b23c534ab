// Images as PNG files, and many of them on one sheet.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/images.h"

namespace tarn::data {

// One image: row by row, a pixel's channels together.
struct Picture {
  ImageShape shape;
  std::vector<std::uint8_t> values;
};

// The bytes of a PNG file of 8 bits a channel: grey of 1 channel, RGB of 3. Throws ShapeError for
// other numbers of channels, and when the values are not as many as the shape has.
std::string encode_png(const Picture& picture);

// Tiles of one shape in rows of `columns`, with white lines between and around them. Those that the
// last row lacks are white. Throws ShapeError for no tiles and for tiles of several shapes.
Picture contact_sheet(std::span<const Picture> tiles, std::int64_t columns);

}  // namespace tarn::data
