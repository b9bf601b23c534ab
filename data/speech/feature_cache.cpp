#include "data/speech/feature_cache.h"

#include <charconv>
#include <cstdio>
#include <map>

#include "core/check.h"
#include "core/io/file.h"
#include "core/io/safetensors.h"
#include "core/rng.h"

namespace tarn::data {
namespace {

using Metadata = std::map<std::string, std::string>;

std::string audio_text(std::string_view audio) {
  char text[64];
  std::snprintf(text, sizeof text, "%016llx %zu", static_cast<unsigned long long>(site_of(audio)),
                audio.size());
  return text;
}

// The checksum of everything that is stored, the numbers included.
std::string checksum(const Metadata& metadata, const Tensor& frames) {
  std::string all;
  for (const auto& [name, value] : metadata) {
    if (name != "crc32") all += message(name, "=", value, "\n");
  }
  const auto* bytes = reinterpret_cast<const char*>(frames.raw());
  all += message(crc32_of({bytes, static_cast<std::size_t>(frames.bytes())}));
  return std::to_string(crc32_of(all));
}

std::int64_t number(const Metadata& metadata, const std::string& name) {
  std::int64_t value = 0;
  const std::string& text = metadata.at(name);
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

}  // namespace

FeatureCache::FeatureCache(const std::filesystem::path& folder, const std::string& settings)
    : folder_(folder), settings_(settings) {
  make_directories(folder);
}

std::filesystem::path FeatureCache::file_for(std::string_view audio) const {
  char name[64];
  std::snprintf(name, sizeof name, "%016llx-%08x.safetensors",
                static_cast<unsigned long long>(site_of(audio)),
                static_cast<unsigned>(crc32_of(settings_)));
  return folder_ / name;
}

std::optional<AudioFeatures> FeatureCache::find(std::string_view audio) const {
  const std::filesystem::path path = file_for(audio);
  if (!std::filesystem::exists(path)) return std::nullopt;
  const SafetensorsFile file(path);
  const Metadata& stored = file.metadata();
  const auto is = [&stored](const char* name, std::string_view expected) {
    const auto found = stored.find(name);
    return found != stored.end() && found->second == expected;
  };
  const Tensor frames = file.read("frames");
  TARN_CHECK_AS(IoError,
                frames.dtype() == DType::f32 && frames.rank() == 2 && is("settings", settings_) &&
                    is("audio", audio_text(audio)) && stored.contains("sample_rate") &&
                    stored.contains("samples") && is("crc32", checksum(stored, frames)),
                path.string(), " is not what was written");
  return AudioFeatures{frames, number(stored, "sample_rate"), number(stored, "samples")};
}

void FeatureCache::store(std::string_view audio, const AudioFeatures& features) const {
  Metadata metadata = {{"settings", settings_},
                       {"audio", audio_text(audio)},
                       {"sample_rate", std::to_string(features.sample_rate)},
                       {"samples", std::to_string(features.samples)}};
  metadata["crc32"] = checksum(metadata, features.frames);
  write_safetensors(file_for(audio), {{"frames", features.frames}}, metadata);
}

}  // namespace tarn::data
