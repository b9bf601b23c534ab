// A PNG file's pixels, for comparing with what was to be written.
#pragma once

#include <png.h>

#include <stdexcept>
#include <string>

#include "data/png.h"

namespace tarn::test {

// Grey files have 1 channel and all others 3.
inline data::Picture read_png(const std::string& bytes) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  if (png_image_begin_read_from_memory(&image, bytes.data(), bytes.size()) == 0) {
    throw std::runtime_error(image.message);
  }
  const bool grey = (image.format & PNG_FORMAT_FLAG_COLOR) == 0;
  image.format = grey ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
  data::Picture picture{{image.height, image.width, grey ? 1 : 3}, {}};
  picture.values.resize(PNG_IMAGE_SIZE(image));
  if (png_image_finish_read(&image, nullptr, picture.values.data(), 0, nullptr) == 0) {
    throw std::runtime_error(image.message);
  }
  return picture;
}

}  // namespace tarn::test
