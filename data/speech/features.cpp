#include "data/speech/features.h"

#include <cmath>
#include <optional>
#include <utility>

#include "core/check.h"
#include "core/io/file.h"
#include "core/rng.h"
#include "data/speech/audio.h"
#include "data/speech/feature_cache.h"

namespace tarn::data {
namespace {

// The number is a version: whoever changes what the code here computes raises it, so that features
// of the old code are not taken from a cache.
std::string settings_of(const FeatureOptions& options) {
  return message("tarn 1 ", options.fbank.str(), " channel ", options.channel);
}

// Loads one utterance after another.
class Loader {
 public:
  Loader(const FeatureOptions& options, const std::filesystem::path& cache_dir)
      : options_(options), rate_(options.sample_rate) {
    if (!cache_dir.empty()) cache_.emplace(cache_dir, settings_of(options));
  }

  void load(const Utterance& utterance, SpeechFeatures& out) {
    const std::filesystem::path& audio = utterance.audio;
    if (audio != recording_) {  // many utterances may be stretches of one recording
      bytes_ = read_file(audio);
      decoded_.reset();
      recording_ = audio;
    }
    const std::string interval = key_of(utterance.interval);
    const std::string_view key = utterance.interval.whole() ? std::string_view(bytes_) : interval;
    std::optional<AudioFeatures> features = cached(key, out);
    const bool computed = !features.has_value();
    if (computed) {
      if (!decoded_) decoded_ = decode_audio(bytes_, audio.string(), options_.channel);
      features = compute(cut(*decoded_, utterance.interval, audio.string()));
    }
    if (rate_ == 0) rate_ = features->sample_rate;
    check_sample_rate(features->sample_rate, rate_, audio.string());
    if (computed) {
      ++out.computed;
      if (cache_) cache_->store(key, *features);
    }
    out.samples += features->samples;
    out.sample_rate = rate_;
    out.frames.push_back(features->frames);
  }

 private:
  // The cache's key of an interval: its ends, and hashes that identify the recording.
  std::string key_of(const Interval& interval) const {
    if (interval.whole()) return "";
    return message("from ", std::to_string(interval.begin), " to ", std::to_string(interval.end),
                   " of ", site_of(bytes_), " ", crc32_of(bytes_), " ", bytes_.size());
  }

  std::optional<AudioFeatures> cached(std::string_view key, SpeechFeatures& out) const {
    if (!cache_) return std::nullopt;
    try {
      return cache_->find(key);
    } catch (const IoError& error) {
      out.warnings.push_back(message("computed again: ", error.what()));
      return std::nullopt;
    }
  }

  AudioFeatures compute(const Audio& audio) {
    if (!fbank_ || fbank_rate_ != audio.sample_rate) {
      fbank_.emplace(options_.fbank, audio.sample_rate);
      fbank_rate_ = audio.sample_rate;
    }
    return {fbank_->compute(audio.samples), audio.sample_rate,
            static_cast<std::int64_t>(audio.samples.size())};
  }

  FeatureOptions options_;
  std::filesystem::path recording_;  // the file whose bytes are these
  std::string bytes_;
  std::optional<Audio> decoded_;
  std::optional<FeatureCache> cache_;
  std::optional<Fbank> fbank_;
  std::int64_t fbank_rate_ = 0;
  std::int64_t rate_;
};

void normalise_speakers(const SpeechFolder& folder, const std::vector<Tensor>& frames) {
  std::vector<std::vector<Tensor>> of(folder.speakers.size());
  for (std::size_t i = 0; i < frames.size(); ++i) {
    of[static_cast<std::size_t>(folder.utterances[i].speaker)].push_back(frames[i]);
  }
  for (const std::vector<Tensor>& all : of) normalise(all);
}

// Calls use(row) for each row of each tensor.
template <class Use>
void for_each_frame(std::span<const Tensor> frames, std::int64_t bins, Use use) {
  for (const Tensor& tensor : frames) {
    float* row = tensor.mutable_data<float>();
    for (std::int64_t t = 0; t < tensor.size(0); ++t, row += bins) use(row);
  }
}

}  // namespace

SpeechFeatures load_features(const SpeechFolder& folder, const FeatureOptions& options,
                             const std::filesystem::path& cache_dir) {
  SpeechFeatures out;
  Loader loader(options, cache_dir);
  for (const Utterance& utterance : folder.utterances) {
    try {
      loader.load(utterance, out);
    } catch (const IoError& error) {
      fail<IoError>(folder.where(utterance), ": ", error.what());
    }
  }
  if (options.normalisation == Normalisation::speaker) normalise_speakers(folder, out.frames);
  if (options.normalisation == Normalisation::utterance) {
    for (const Tensor& frames : out.frames) normalise({&frames, 1});
  }
  return out;
}

void normalise(std::span<const Tensor> frames) {
  if (frames.empty()) return;
  constexpr double kNoVariance = 1e-10;  // of f32 numbers near 16 that differ in the last bit
  const std::int64_t bins = frames[0].size(1);
  std::vector<double> mean(static_cast<std::size_t>(bins)), scale(mean.size());
  double count = 0;
  for_each_frame(frames, bins, [&](const float* row) {
    for (std::size_t b = 0; b < mean.size(); ++b) mean[b] += row[b];
    ++count;
  });
  for (double& value : mean) value /= count;
  for_each_frame(frames, bins, [&](const float* row) {
    for (std::size_t b = 0; b < mean.size(); ++b) {
      scale[b] += (row[b] - mean[b]) * (row[b] - mean[b]);
    }
  });
  for (double& value : scale) {
    value = value / count > kNoVariance ? 1 / std::sqrt(value / count) : 0;
  }
  for_each_frame(frames, bins, [&](float* row) {
    for (std::size_t b = 0; b < mean.size(); ++b) {
      row[b] = static_cast<float>((row[b] - mean[b]) * scale[b]);
    }
  });
}

}  // namespace tarn::data
