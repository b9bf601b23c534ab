// What generated images begin with, and how they are shown together.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "data/png.h"

namespace tarn::train {

struct GivenOptions {
  std::filesystem::path folder;      // of images to complete; empty: none
  std::optional<std::int64_t> keep;  // pixels that are kept of each; absent: the upper half
  std::int64_t completions = 1;      // of each image
  std::int64_t count = 1;            // images to generate
  std::int64_t values = 784;         // of an image
  // That of the images that the model learnt; unknown: square, grey or RGB.
  std::optional<data::ImageShape> shape = {};
};

// Image k continues test image k / completions of a folder. Where no folder is given it continues
// a single value of 0, since a model does not predict the first.
class GivenImages {
 public:
  // Throws ConfigError or IoError if the options do not fit each other or the folder's images, or
  // if no folder is given and the values make no square image, grey or RGB.
  explicit GivenImages(const GivenOptions& options);

  const data::ImageShape& shape() const { return shape_; }
  std::int64_t kept() const { return kept_; }  // values that an image begins with
  std::string checksum() const { return data::checksum_of(images_); }

  // The values that images first .. first + count - 1 begin with: i32 [count, kept()].
  Tensor values(std::int64_t first, std::int64_t count) const;

  // The images from number 0 on in a grid; or, if they complete others, a row for each of those:
  // the original, what was kept of it, the completions. There must be at least one.
  data::Picture sheet(const std::vector<data::Picture>& finished) const;

 private:
  void open(const GivenOptions& options);

  std::int64_t completions_;
  data::ImageSet images_;
  data::ImageShape shape_;
  std::int64_t kept_ = 1;
};

}  // namespace tarn::train
