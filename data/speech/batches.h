// Batches of utterances of similar length, within a budget of frames.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/tensor.h"
#include "data/speech/features.h"
#include "data/speech/folder.h"

namespace tarn::data {

struct SpeechBatch {
  Tensor features;       // f32 [batch, frames of the longest, bins]; 0 behind each one's end
  Tensor lengths;        // i32 [batch], in frames
  Tensor labels;         // i32 [batch, phones of the longest]; 0, the blank, behind each one's end
  Tensor label_lengths;  // i32 [batch]
  std::vector<std::int64_t> utterances;  // positions in the folder
};

struct SpeechBatchOptions {
  std::int64_t frames = 0;  // the budget: batch x longest is at most this
  std::uint64_t seed = 1;
};

// Each utterance is in exactly one batch an epoch. Which others it is with, and when the batch
// comes, is drawn anew for each epoch, by address: a batch is a function of seed and index alone.
// An utterance longer than the budget is a batch by itself.
class SpeechBatches {
 public:
  // The folder and its features must outlive this.
  SpeechBatches(const SpeechFolder& folder, const SpeechFeatures& features,
                const SpeechBatchOptions& options);

  std::int64_t per_epoch() const { return per_epoch_; }
  // Training batch `index` from 0, over all epochs.
  SpeechBatch training(std::int64_t index) const { return assemble(training_members(index)); }
  // Its utterances, by their positions in the folder.
  std::vector<std::int64_t> training_members(std::int64_t index) const;
  // A batch of these utterances, of which there is at least one.
  SpeechBatch assemble(std::vector<std::int64_t> utterances) const;
  // One of per_epoch() batches of a pass in a fixed order, the longest first.
  SpeechBatch evaluation(std::int64_t index) const;

 private:
  // Utterances of like length, which are dealt into batches of `batch` (the last may be smaller).
  struct Bucket {
    std::int64_t first = 0, count = 0;  // in by_length_
    std::int64_t batch = 0;
    std::int64_t batches() const { return (count + batch - 1) / batch; }
  };

  void add_bucket(std::int64_t first, std::int64_t budget);
  // The utterances of batch `position` of those of all buckets, which are shuffled for the epoch,
  // if there is one.
  std::vector<std::int64_t> members_at(std::int64_t position,
                                       std::optional<std::uint32_t> epoch) const;

  const SpeechFolder& folder_;
  const SpeechFeatures& features_;
  std::uint64_t seed_;
  std::vector<std::int64_t> by_length_;  // positions in the folder, the longest first
  std::vector<Bucket> buckets_;
  std::int64_t per_epoch_ = 0;
};

}  // namespace tarn::data
