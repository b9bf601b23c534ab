#include "data/speech/batches.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "core/check.h"
#include "core/rng.h"
#include "data/shuffle.h"

namespace tarn::data {
namespace {

constexpr double kShortest = 0.8;          // of a bucket, as a share of its longest
constexpr std::int64_t kMostBatches = 16;  // of a bucket

std::int64_t frames_of(const SpeechFeatures& features, std::int64_t utterance) {
  return features.frames[static_cast<std::size_t>(utterance)].size(0);
}

}  // namespace

SpeechBatches::SpeechBatches(const SpeechFolder& folder, const SpeechFeatures& features,
                             const SpeechBatchOptions& options)
    : folder_(folder),
      features_(features),
      seed_(options.seed),
      by_length_(features.frames.size()) {
  TARN_CHECK(folder.utterances.size() == features.frames.size(),
             "speech batches: features are of another folder");
  TARN_CHECK_AS(ConfigError, options.frames >= 1, "speech batches: a budget of ", options.frames,
                " frames holds nothing");
  std::iota(by_length_.begin(), by_length_.end(), 0);
  const auto length = [&](std::int64_t utterance) { return frames_of(features, utterance); };
  std::stable_sort(by_length_.begin(), by_length_.end(),
                   [&](std::int64_t a, std::int64_t b) { return length(a) > length(b); });
  for (std::size_t first = 0; first < by_length_.size();) {
    add_bucket(static_cast<std::int64_t>(first), options.frames);
    first += static_cast<std::size_t>(buckets_.back().count);
  }
}

void SpeechBatches::add_bucket(std::int64_t first, std::int64_t budget) {
  const std::int64_t left = static_cast<std::int64_t>(by_length_.size()) - first;
  const auto length_at = [&](std::int64_t at) {
    return frames_of(features_, by_length_[static_cast<std::size_t>(first + at)]);
  };
  Bucket bucket{first, 0, std::max<std::int64_t>(1, budget / length_at(0))};
  const auto shortest = static_cast<std::int64_t>(kShortest * static_cast<double>(length_at(0)));
  // Each bucket but the last has whole batches only, so that an epoch has one smaller batch at
  // most.
  do {
    bucket.count = std::min(bucket.count + bucket.batch, left);
  } while (bucket.count < left && bucket.batches() < kMostBatches &&
           length_at(std::min(bucket.count + bucket.batch, left) - 1) >= shortest);
  per_epoch_ += bucket.batches();
  buckets_.push_back(bucket);
}

std::vector<std::int64_t> SpeechBatches::training_members(std::int64_t index) const {
  const auto epoch = static_cast<std::uint32_t>(index / per_epoch_);
  const RngAddress at{seed_, site_of("speech.batches"), epoch};
  return members_at(shuffled(index % per_epoch_, per_epoch_, at), epoch);
}

SpeechBatch SpeechBatches::evaluation(std::int64_t index) const {
  TARN_CHECK(index >= 0 && index < per_epoch_, "speech batches: there is no batch ", index, " of ",
             per_epoch_);
  return assemble(members_at(index, std::nullopt));
}

std::vector<std::int64_t> SpeechBatches::members_at(std::int64_t position,
                                                    std::optional<std::uint32_t> epoch) const {
  auto bucket = buckets_.begin();
  for (; position >= bucket->batches(); ++bucket) position -= bucket->batches();
  const std::int64_t begin = position * bucket->batch;
  const std::int64_t end = std::min(begin + bucket->batch, bucket->count);
  const std::uint64_t site = site_of(message("speech.bucket ", bucket->first));
  std::vector<std::int64_t> members;
  for (std::int64_t i = begin; i < end; ++i) {
    const std::int64_t at = epoch ? shuffled(i, bucket->count, {seed_, site, *epoch}) : i;
    members.push_back(by_length_[static_cast<std::size_t>(bucket->first + at)]);
  }
  return members;
}

SpeechBatch SpeechBatches::assemble(std::vector<std::int64_t> utterances) const {
  const auto phones_of = [this](std::int64_t utterance) -> const std::vector<std::int32_t>& {
    return folder_.utterances[static_cast<std::size_t>(utterance)].phones;
  };
  std::int64_t longest = 0, most_phones = 0;
  for (const std::int64_t utterance : utterances) {
    longest = std::max(longest, frames_of(features_, utterance));
    most_phones = std::max(most_phones, static_cast<std::int64_t>(phones_of(utterance).size()));
  }
  const auto rows = static_cast<std::int64_t>(utterances.size());
  const std::int64_t bins = features_.frames[0].size(1);
  const Device cpu = Device::cpu();
  SpeechBatch batch{Tensor::zeros({rows, longest, bins}, DType::f32, cpu),
                    Tensor::empty({rows}, DType::i32, cpu),
                    Tensor::zeros({rows, most_phones}, DType::i32, cpu),
                    Tensor::empty({rows}, DType::i32, cpu), std::move(utterances)};
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::int64_t utterance = batch.utterances[static_cast<std::size_t>(row)];
    const Tensor& frames = features_.frames[static_cast<std::size_t>(utterance)];
    std::copy_n(frames.data<float>(), frames.elements(),
                batch.features.mutable_data<float>() + row * longest * bins);
    batch.lengths.mutable_data<std::int32_t>()[row] = static_cast<std::int32_t>(frames.size(0));
    const std::vector<std::int32_t>& phones = phones_of(utterance);
    std::copy(phones.begin(), phones.end(),
              batch.labels.mutable_data<std::int32_t>() + row * most_phones);
    batch.label_lengths.mutable_data<std::int32_t>()[row] =
        static_cast<std::int32_t>(phones.size());
  }
  return batch;
}

}  // namespace tarn::data
