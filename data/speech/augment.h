// Changes to a batch of speech on its way to the model.
#pragma once

#include "core/rng.h"
#include "data/speech/batches.h"

namespace tarn::data {

// Each `count` neighbouring frames side by side as one, with `context` more on either side of them;
// beyond the ends of an utterance there are zeros. Features [batch, ceil(frames / count),
// (count + 2 * context) * bins], and lengths to match.
SpeechBatch stack_frames(const SpeechBatch& batch, std::int64_t count, std::int64_t context = 0);

// Stretches of time and bands of bins that are set to 0, the mean of normalised features (Park et
// al., "SpecAugment", 2019).
struct MaskOptions {
  std::int64_t time_masks = 0;  // an utterance
  std::int64_t time_width = 0;  // frames at most, and never more than a fifth of the utterance
  std::int64_t bin_masks = 0;
  std::int64_t bin_width = 0;

  bool any() const { return time_masks * time_width + bin_masks * bin_width > 0; }
};

// Masks the batch's features in place; where is drawn at the address.
void mask_features(const SpeechBatch& batch, const MaskOptions& options, const RngAddress& at);

}  // namespace tarn::data
