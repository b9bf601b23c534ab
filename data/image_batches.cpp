#include "data/image_batches.h"

#include <algorithm>

#include "core/check.h"
#include "data/shuffle.h"

namespace tarn::data {
namespace {

// The batch of the images numbered pick(0) .. pick(size - 1).
template <class Pick>
ImageBatch batch_of(const ImageSet& images, std::int64_t size, const Pick& pick) {
  const std::int64_t length = images.shape.values() - 1;
  ImageBatch batch{Tensor::empty({size, length}, DType::i32, Device::cpu()),
                   Tensor::empty({size, length}, DType::i32, Device::cpu())};
  for (std::int64_t b = 0; b < size; ++b) {
    const std::span<const std::uint8_t> image = images.image(pick(b));
    std::copy(image.begin(), image.end() - 1, batch.x.mutable_data<std::int32_t>() + b * length);
    std::copy(image.begin() + 1, image.end(),
              batch.target.mutable_data<std::int32_t>() + b * length);
  }
  return batch;
}

}  // namespace

std::int64_t training_image(std::int64_t position, std::int64_t count, std::uint64_t seed) {
  constexpr std::uint64_t kSite = site_of("images.order");
  return shuffled(position % count, count,
                  {seed, kSite, static_cast<std::uint32_t>(position / count)});
}

ImageBatch training_batch(const ImageSet& images, std::int64_t index, std::int64_t size,
                          std::uint64_t seed, const Shard& shard) {
  const Range rows = range_of(shard, size);
  return batch_of(images, rows.count, [&](std::int64_t b) {
    return training_image(index * size + rows.first + b, images.count, seed);
  });
}

ImageBatch evaluation_batch(const ImageSet& images, std::int64_t first, std::int64_t size) {
  TARN_CHECK(0 <= first && 0 < size && first + size <= images.count, "evaluation_batch: of ",
             images.count, " images, ", size, " from ", first, " on are not all there");
  return batch_of(images, size, [&](std::int64_t b) { return first + b; });
}

}  // namespace tarn::data
