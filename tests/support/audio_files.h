// Audio files and speech folders for tests.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/text_file.h"

namespace tarn::test {

enum class AudioFormat { wav, wav_float, flac, sphere };

struct AudioFile {
  std::vector<float> samples;  // full scale -1 to 1; those of several channels in turn
  int sample_rate = 16000;
  int channels = 1;
  AudioFormat format = AudioFormat::wav;  // 16-bit integers, but for wav_float
};

// Written by libsndfile.
void write_audio(const std::filesystem::path& file, const AudioFile& audio);

// Tones and noise that the seed picks, of 16 bits: equal after any format.
std::vector<float> made_samples(std::int64_t count, std::uint64_t seed);

// Utterances u0, u1, ... of 0.3 s, 0.4 s, ... up to 0.9 s and from 0.3 s again, in FLAC files; two
// speakers in turn; phones A, B and C in turn, one each 0.1 s, listed in DIR/phones.txt. Paths in
// wav.scp start at DIR, which is created.
void write_speech_folder(const std::filesystem::path& dir, int utterances, int sample_rate = 8000);

}  // namespace tarn::test
