#include "train/generation/given_images.h"

#include <algorithm>
#include <cmath>

#include "core/check.h"

namespace tarn::train {
namespace {

using data::ImageShape;
using data::Picture;

constexpr std::int32_t kFirstValue = 0;  // where no image is given: black
constexpr std::uint8_t kOccluded = 128;  // grey, to be seen on black and on white

ImageShape square_shape(std::int64_t values) {
  for (const std::int64_t channels : {1, 3}) {
    const std::int64_t pixels = values / channels;
    const auto side = std::llround(std::sqrt(static_cast<double>(pixels)));
    if (side * side * channels == values) return {side, side, channels};
  }
  fail<ConfigError>("the model's images have ", values,
                    " values, which make no square image, grey or RGB; --given DATA tells their "
                    "shape");
}

}  // namespace

GivenImages::GivenImages(const GivenOptions& options) : completions_(options.completions) {
  if (!options.folder.empty()) {
    open(options);
    return;
  }
  TARN_CHECK_AS(ConfigError, !options.keep,
                "--keep says how much to keep of the images of --given");
  TARN_CHECK_AS(ConfigError, completions_ == 1,
                "--completions says how often to complete each image of --given");
  shape_ = options.shape ? *options.shape : square_shape(options.values);
}

void GivenImages::open(const GivenOptions& options) {
  const std::string folder = options.folder.string();
  images_ = data::open_image_folder(options.folder).test;
  shape_ = images_.shape;
  TARN_CHECK_AS(ConfigError, shape_.values() == options.values, "--given ", folder,
                ": its images of ", shape_, " have ", shape_.values(), " values, and the model's ",
                options.values);
  const std::int64_t pixels = shape_.height * shape_.width;
  const std::int64_t half = (shape_.height + 1) / 2 * shape_.width;
  const std::int64_t keep = options.keep.value_or(std::min(half, pixels - 1));
  TARN_CHECK_AS(ConfigError, keep >= 1 && keep < pixels, "--keep ", keep, ": an image of ", shape_,
                " has ", pixels, " pixels, so that 1 to ", pixels - 1, " can be kept");
  kept_ = keep * shape_.channels;
  const std::int64_t expected = (options.count + completions_ - 1) / completions_;
  TARN_CHECK_AS(ConfigError, expected <= images_.count, "--given ", folder, " has ", images_.count,
                " test images; --count ", options.count, " with --completions ", completions_,
                " needs ", expected);
}

Tensor GivenImages::values(std::int64_t first, std::int64_t count) const {
  Tensor out = Tensor::empty({count, kept_}, DType::i32, Device::cpu());
  std::int32_t* to = out.mutable_data<std::int32_t>();
  if (images_.count == 0) {
    std::fill_n(to, count, kFirstValue);
    return out;
  }
  for (std::int64_t i = 0; i < count; ++i, to += kept_) {
    std::copy_n(images_.image((first + i) / completions_).begin(), kept_, to);
  }
  return out;
}

Picture GivenImages::sheet(const std::vector<Picture>& finished) const {
  const auto count = static_cast<std::int64_t>(finished.size());
  if (images_.count == 0) {
    const double side = std::ceil(std::sqrt(static_cast<double>(count)));
    return data::contact_sheet(finished, static_cast<std::int64_t>(side));
  }
  std::vector<Picture> tiles;
  for (std::int64_t i = 0; i < count; ++i) {
    if (i % completions_ == 0) {
      const auto image = images_.image(i / completions_);
      Picture occluded{shape_, {image.begin(), image.end()}};
      tiles.push_back(occluded);
      std::fill(occluded.values.begin() + kept_, occluded.values.end(), kOccluded);
      tiles.push_back(std::move(occluded));
    }
    tiles.push_back(finished[static_cast<std::size_t>(i)]);
  }
  return data::contact_sheet(tiles, 2 + completions_);
}

}  // namespace tarn::train
