#include "data/speech/augment.h"

#include <algorithm>

namespace tarn::data {
namespace {

// Draws an interval of 0 to `widest` of `size` places, which takes two numbers of the stream.
struct Stretch {
  Stretch(std::int64_t size, std::int64_t widest, const RngAddress& at, std::uint64_t draw)
      : width(below(std::min(size, widest) + 1, at, 2 * draw)),
        first(below(size - width + 1, at, 2 * draw + 1)) {}

  static std::int64_t below(std::int64_t n, const RngAddress& at, std::uint64_t element) {
    return random_below(at, element, static_cast<std::uint32_t>(n));
  }

  std::int64_t width, first;
};

}  // namespace

SpeechBatch stack_frames(const SpeechBatch& batch, std::int64_t count, std::int64_t context) {
  if (count == 1 && context == 0) return batch;
  const std::int64_t size = batch.features.size(0), frames = batch.features.size(1);
  const std::int64_t bins = batch.features.size(2), positions = (frames + count - 1) / count;
  const std::int64_t width = count + 2 * context;
  SpeechBatch out = batch;
  out.features = Tensor::zeros({size, positions, width * bins}, DType::f32, Device::cpu());
  out.lengths = Tensor::empty({size}, DType::i32, Device::cpu());
  for (std::int64_t n = 0; n < size; ++n) {
    const float* from = batch.features.data<float>() + n * frames * bins;
    float* to = out.features.mutable_data<float>() + n * positions * width * bins;
    const std::int64_t length = batch.lengths.data<std::int32_t>()[n];
    const std::int64_t stacked = (length + count - 1) / count;
    for (std::int64_t i = 0; i < stacked; ++i) {
      const std::int64_t first = i * count - context;
      const std::int64_t begin = std::max<std::int64_t>(first, 0);
      const std::int64_t end = std::min(first + width, length);
      std::copy(from + begin * bins, from + end * bins, to + (i * width + begin - first) * bins);
    }
    out.lengths.mutable_data<std::int32_t>()[n] = static_cast<std::int32_t>(stacked);
  }
  return out;
}

void mask_features(const SpeechBatch& batch, const MaskOptions& options, const RngAddress& at) {
  const std::int64_t bins = batch.features.size(2);
  std::uint64_t draw = 0;
  for (std::int64_t n = 0; n < batch.features.size(0); ++n) {
    float* rows = batch.features.mutable_data<float>() + n * batch.features.size(1) * bins;
    const std::int64_t frames = batch.lengths.data<std::int32_t>()[n];
    for (std::int64_t i = 0; i < options.time_masks; ++i) {
      const Stretch time(frames, std::min(options.time_width, frames / 5), at, draw++);
      std::fill_n(rows + time.first * bins, time.width * bins, 0.0F);
    }
    for (std::int64_t i = 0; i < options.bin_masks; ++i) {
      const Stretch band(bins, options.bin_width, at, draw++);
      for (std::int64_t t = 0; t < frames; ++t) {
        std::fill_n(rows + t * bins + band.first, band.width, 0.0F);
      }
    }
  }
}

}  // namespace tarn::data
