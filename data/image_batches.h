// Batches of images as sequences of values, for models that predict each value from those before
// it. Every batch is a function of its arguments alone, so a resumed run goes on in the same order.
#pragma once

#include "core/tensor.h"
#include "data/images.h"
#include "data/shard.h"

namespace tarn::data {

// An image of L values: x is all but the last, target all but the first, as they are (0 .. 255).
// The first value is never predicted or scored.
struct ImageBatch {
  Tensor x, target;  // i32 [batch, L - 1], on the CPU
};

// The image at a position of the training order, which goes through the set again and again: each
// pass over it (an epoch) is in another order, drawn by address from the seed and the pass.
std::int64_t training_image(std::int64_t position, std::int64_t count, std::uint64_t seed);

// A shard of the batch of positions index * size and on of the training order; a batch may end one
// pass and begin the next.
ImageBatch training_batch(const ImageSet& images, std::int64_t index, std::int64_t size,
                          std::uint64_t seed, const Shard& shard = {});

// Images first .. first + size - 1, in the order of the file.
ImageBatch evaluation_batch(const ImageSet& images, std::int64_t first, std::int64_t size);

}  // namespace tarn::data
