#include "data/speech/batches.h"

#include <algorithm>
#include <numeric>
#include <span>
#include <utility>

#include "core/check.h"
#include "core/rng.h"

namespace tarn::data {
namespace {

constexpr double kAlike = 0.8;             // the shortest of a bucket, as a part of its longest
constexpr std::int64_t kMostBatches = 16;  // of a bucket

// Fisher and Yates, with numbers `first` and on of the address.
void permute(std::span<std::int64_t> values, const RngAddress& at, std::uint64_t first) {
  for (std::size_t left = values.size(); left > 1; --left) {
    const auto chosen = random_below(at, first + left - 1, static_cast<std::uint32_t>(left));
    std::swap(values[left - 1], values[chosen]);
  }
}

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
  const auto shortest = static_cast<std::int64_t>(kAlike * static_cast<double>(length_at(0)));
  // Whole batches only, so that none but the very last of an epoch is smaller than its like.
  do {
    bucket.count = std::min(bucket.count + bucket.batch, left);
  } while (bucket.count < left && bucket.batches() < kMostBatches &&
           length_at(std::min(bucket.count + bucket.batch, left) - 1) >= shortest);
  per_epoch_ += bucket.batches();
  buckets_.push_back(bucket);
}

SpeechBatch SpeechBatches::training(std::int64_t index) const {
  const auto epoch = static_cast<std::uint32_t>(index / per_epoch_);
  std::vector<std::int64_t> order(static_cast<std::size_t>(per_epoch_));
  std::iota(order.begin(), order.end(), 0);
  permute(order, {seed_, site_of("speech.batches"), epoch}, 0);
  return batch_at(order[static_cast<std::size_t>(index % per_epoch_)], epoch);
}

SpeechBatch SpeechBatches::evaluation(std::int64_t index) const {
  TARN_CHECK(index >= 0 && index < per_epoch_, "speech batches: there is no batch ", index, " of ",
             per_epoch_);
  return batch_at(index, std::nullopt);
}

SpeechBatch SpeechBatches::batch_at(std::int64_t position,
                                    std::optional<std::uint32_t> epoch) const {
  auto bucket = buckets_.begin();
  for (; position >= bucket->batches(); ++bucket) position -= bucket->batches();
  const auto first = by_length_.begin() + bucket->first;
  std::vector<std::int64_t> members(first, first + bucket->count);
  if (epoch) {
    permute(members, {seed_, site_of("speech.buckets"), *epoch},
            static_cast<std::uint64_t>(bucket->first));
  }
  const std::int64_t begin = position * bucket->batch;
  const std::int64_t end = std::min(begin + bucket->batch, bucket->count);
  return assemble({members.begin() + begin, members.begin() + end});
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
