// Features on disk, so that they are computed once.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "core/tensor.h"

namespace tarn::data {

// What is known of one audio file once it was read.
struct AudioFeatures {
  Tensor frames;  // f32 [frames, bins]
  std::int64_t sample_rate = 0;
  std::int64_t samples = 0;
};

// A folder with a safetensors file for each audio file and settings. Files appear whole or not at
// all and are never changed, so processes may share the folder, and it may be deleted at any time.
class FeatureCache {
 public:
  // Creates the folder if absent. The settings are all that the features depend on but the audio.
  FeatureCache(const std::filesystem::path& folder, const std::string& settings);

  // The file for audio of these bytes.
  std::filesystem::path file_for(std::string_view audio) const;

  // What was stored for this audio; nothing if there is no file. A file that cannot be read, or
  // whose content is not what was written, is an IoError that names it.
  std::optional<AudioFeatures> find(std::string_view audio) const;
  void store(std::string_view audio, const AudioFeatures& features) const;

 private:
  std::filesystem::path folder_;
  std::string settings_;
};

}  // namespace tarn::data
