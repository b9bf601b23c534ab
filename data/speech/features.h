// The features of a folder of speech: computed once, kept on disk, normalised when loaded.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "data/speech/fbank.h"
#include "data/speech/folder.h"

namespace tarn::data {

// The frames over which each bin is brought to mean 0 and variance 1 together.
enum class Normalisation { none, utterance, speaker };

struct FeatureOptions {
  FbankOptions fbank;
  Normalisation normalisation = Normalisation::speaker;
  std::int64_t channel = 0;      // see decode_audio
  std::int64_t sample_rate = 0;  // what all audio must have; 0: that of the first
};

struct SpeechFeatures {
  std::vector<Tensor> frames;    // f32 [frames, bins] of each utterance of the folder, in its order
  std::int64_t sample_rate = 0;  // of all the audio
  std::int64_t samples = 0;      // of all the audio together
  std::int64_t computed = 0;     // utterances that the cache did not have
  std::vector<std::string> warnings;  // cache entries that were spoilt, and were computed again
};

// Computes the features, or reads those that were computed before from cache_dir (created if
// absent; empty: no cache). Entries are keyed by the options and the bytes of the audio file;
// several processes may share the folder. Throws IoError that names wav.scp's line and the file.
SpeechFeatures load_features(const SpeechFolder& folder, const FeatureOptions& options,
                             const std::filesystem::path& cache_dir);

// Brings each bin to mean 0 and variance 1 over all frames of the tensors f32 [frames, bins], in
// place; sums are in f64. A bin that never changes becomes 0.
void normalise(std::span<const Tensor> frames);

}  // namespace tarn::data
