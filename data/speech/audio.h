// Audio files: WAV, FLAC and NIST SPHERE, of any sample rate.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace tarn::data {

struct Audio {
  std::int64_t sample_rate = 0;  // in Hz
  std::vector<float> samples;    // of one channel; full scale is -1 to 1
};

// The audio in a file's bytes; `name` is what messages call it. Channels count from 1; 0 is for
// audio that has only one, and an error for other audio. Throws IoError when the bytes are no audio
// of these formats, are cut short, hold no sample, or hold one that is not a finite number.
Audio decode_audio(std::string_view bytes, const std::string& name, std::int64_t channel);

// Throws IoError, which names the audio, unless its rate is the expected one.
void check_sample_rate(std::int64_t rate, std::int64_t expected, const std::string& name);

// Reads the file and decodes it.
Audio read_audio(const std::filesystem::path& file, std::int64_t channel);

}  // namespace tarn::data
