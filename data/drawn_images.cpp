#include "data/drawn_images.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/check.h"
#include "core/io/file.h"
#include "core/rng.h"
#include "data/idx.h"

namespace tarn::data {
namespace {

namespace fs = std::filesystem;

// The distance of a point from a figure, in units of half its size (negative: inside). The point
// is relative to the figure's middle; strokes are kStroke wide to either side.
constexpr double kStroke = 0.22;

double bar(double across, double along) {
  return std::max(std::abs(across) - kStroke, std::abs(along) - 1);
}
double disc(double x, double y) { return std::sqrt(x * x + y * y) - 1; }
double square(double x, double y) { return std::max(std::abs(x), std::abs(y)) - 0.8; }
double outline(double distance) { return std::abs(distance + kStroke) - kStroke; }

double distance_to(std::int64_t figure, double x, double y) {
  constexpr double kTurn = 0.70710678118654752;  // of 45 degrees: its cosine and its sine
  const double falling = kTurn * (x - y), rising = kTurn * (x + y);
  switch (figure) {
    case 0:
      return outline(disc(x, y));
    case 1:
      return bar(x, y);
    case 2:
      return bar(y, x);
    case 3:
      return bar(rising, falling);
    case 4:
      return bar(falling, rising);
    case 5:
      return std::min(bar(x, y), bar(y, x));
    case 6:
      return std::min(bar(rising, falling), bar(falling, rising));
    case 7:
      return disc(x, y);
    case 8:
      return square(x, y);
    default:
      return outline(square(x, y));
  }
}

// Draws into an image of zeros. Each image has its own step of the address.
void draw(std::int64_t figure, const ImageShape& shape, const RngAddress& at,
          std::uint8_t* pixels) {
  const auto between = [&](std::uint64_t element, double low, double high) {
    return low + (high - low) * random_uniform(at, element);
  };
  const auto width = static_cast<double>(shape.width), height = static_cast<double>(shape.height);
  const double half = between(0, 0.2, 0.4) * std::min(width, height);
  const double middle_x = between(1, half, width - half);
  const double middle_y = between(2, half, height - half);
  std::array<double, 3> level{};
  for (std::size_t c = 0; c < level.size(); ++c) level[c] = between(3 + c, 128, 255);
  for (std::int64_t row = 0; row < shape.height; ++row) {
    for (std::int64_t column = 0; column < shape.width; ++column) {
      const double x = (static_cast<double>(column) + 0.5 - middle_x) / half;
      const double y = (static_cast<double>(row) + 0.5 - middle_y) / half;
      // Edges fade over a pixel.
      const double cover = std::clamp(0.5 - half * distance_to(figure, x, y), 0.0, 1.0);
      for (std::int64_t c = 0; c < shape.channels; ++c) {
        *pixels++ =
            static_cast<std::uint8_t>(std::lround(cover * level[static_cast<std::size_t>(c)]));
      }
    }
  }
}

void write_part(const fs::path& folder, const std::string& part, const ImageSet& set) {
  const ImageShape& shape = set.shape;
  const bool grey = shape.channels == 1;
  IdxArray images{{set.count, shape.height, shape.width}, set.pixels};
  if (!grey) images.sizes.push_back(shape.channels);
  write_idx(folder / message(part, "-images-idx", grey ? 3 : 4, "-ubyte.gz"), images);
  write_idx(folder / message(part, "-labels-idx1-ubyte.gz"), {{set.count}, set.labels});
}

}  // namespace

ImageSet draw_images(const ImageShape& shape, std::int64_t count, std::string_view stream,
                     std::uint64_t seed) {
  constexpr std::int64_t kLeastSide = 4, kMostSide = 1024, kFigures = 10;
  constexpr std::int64_t kMostBytes = (std::int64_t{1} << 30) - 64;  // gzip's, with a header
  const std::int64_t least = std::min(shape.height, shape.width);
  const std::int64_t most = std::max(shape.height, shape.width);
  TARN_CHECK_AS(ConfigError, least >= kLeastSide && most <= kMostSide, "images of ", shape,
                " cannot be drawn: sides must be ", kLeastSide, " to ", kMostSide);
  TARN_CHECK_AS(ConfigError, shape.channels == 1 || shape.channels == 3, "images of ", shape,
                " cannot be drawn: channels must be 1 or 3");
  const std::int64_t most_images = kMostBytes / shape.values();
  TARN_CHECK_AS(ConfigError, 1 <= count && count <= most_images, count, " images of ", shape,
                " cannot be drawn: expected 1 to ", most_images, ", a gigabyte of them");
  ImageSet set{shape, count, {}, {}};
  set.pixels.resize(static_cast<std::size_t>(count * shape.values()));
  const std::uint64_t site = site_of(message("drawn_images.", stream));
  for (std::int64_t n = 0; n < count; ++n) {
    set.labels.push_back(static_cast<std::uint8_t>(n % kFigures));
    draw(n % kFigures, shape, {seed, site, static_cast<std::uint32_t>(n)},
         set.pixels.data() + n * shape.values());
  }
  return set;
}

void write_image_folder(const fs::path& folder, const ImageSet& train, const ImageSet& test) {
  const fs::path named = folder.has_filename() ? folder : folder.parent_path();
  TARN_CHECK_AS(IoError, !fs::exists(fs::symlink_status(named)), "cannot make ", named.string(),
                ": it exists already");
  fs::path temporary = named;
  temporary += ".tmp";
  TARN_CHECK_AS(IoError, !fs::exists(fs::symlink_status(temporary)), "cannot make ", named.string(),
                ": ", temporary.string(),
                " is in the way, which an interrupted start may have left; remove it first");
  make_directories(temporary);
  try {
    write_part(temporary, "train", train);
    write_part(temporary, "t10k", test);
    publish_directory(temporary, named);
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(temporary, ignored);
    throw;
  }
}

}  // namespace tarn::data
