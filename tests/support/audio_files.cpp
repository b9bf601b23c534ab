#include "tests/support/audio_files.h"

#include <sndfile.h>

#include <cmath>
#include <stdexcept>

#include "core/check.h"
#include "core/rng.h"

namespace tarn::test {
namespace {

int format_of(AudioFormat format) {
  switch (format) {
    case AudioFormat::wav:
      return SF_FORMAT_WAV | SF_FORMAT_PCM_16;
    case AudioFormat::wav_float:
      return SF_FORMAT_WAV | SF_FORMAT_FLOAT;
    case AudioFormat::flac:
      return SF_FORMAT_FLAC | SF_FORMAT_PCM_16;
    case AudioFormat::sphere:
      return SF_FORMAT_NIST | SF_FORMAT_PCM_16;
  }
  throw std::invalid_argument("audio format");
}

}  // namespace

void write_audio(const std::filesystem::path& file, const AudioFile& audio) {
  SF_INFO info{};
  info.samplerate = audio.sample_rate;
  info.channels = audio.channels;
  info.format = format_of(audio.format);
  SNDFILE* out = sf_open(file.c_str(), SFM_WRITE, &info);
  if (out == nullptr) throw std::runtime_error("cannot write " + file.string());
  const auto count = static_cast<sf_count_t>(audio.samples.size());
  const bool written = sf_write_float(out, audio.samples.data(), count) == count;
  if (sf_close(out) != 0 || !written) throw std::runtime_error("cannot write " + file.string());
}

std::vector<float> made_samples(std::int64_t count, std::uint64_t seed) {
  std::vector<float> samples(static_cast<std::size_t>(count));
  const RngAddress at{seed, site_of("made_samples"), 0};
  const double pitch = 0.02 + 0.1 * random_uniform(at, 0);
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const double tone = 0.4 * std::sin(pitch * static_cast<double>(i));
    const double noise = 0.2 * (random_uniform(at, i + 1) - 0.5);
    samples[i] = static_cast<float>(std::round((tone + noise) * 32767) / 32768);
  }
  return samples;
}

void write_speech_folder(const std::filesystem::path& dir, int utterances, int sample_rate) {
  std::filesystem::create_directories(dir);
  std::string scp, text, speakers;
  for (int u = 0; u < utterances; ++u) {
    const int tenths = 3 + u % 7;
    const std::string id = message("u", u);
    write_audio(dir / message(id, ".flac"),
                {.samples = made_samples(tenths * sample_rate / 10, static_cast<std::uint64_t>(u)),
                 .sample_rate = sample_rate,
                 .format = AudioFormat::flac});
    scp += message(id, " ", id, ".flac\n");
    speakers += message(id, " s", u % 2, "\n");
    text += id;
    for (int p = 0; p < tenths; ++p) text += {' ', static_cast<char>('A' + (u + p) % 3)};
    text += "\n";
  }
  write_text(dir / "wav.scp", scp);
  write_text(dir / "text", text);
  write_text(dir / "utt2spk", speakers);
  write_text(dir / "phones.txt", "<blk> 0\nA 1\nB 2\nC 3\n");
}

}  // namespace tarn::test
