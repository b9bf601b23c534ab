#include "data/speech/audio.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "core/check.h"
#include "core/io/file.h"
#include "tests/support/audio_files.h"
#include "tests/support/temp_dir.h"

namespace tarn::data {
namespace {

using test::AudioFormat;

void check_refused(const std::filesystem::path& file, std::int64_t channel, const char* why) {
  CAPTURE(file);
  CHECK_THROWS_WITH_AS(read_audio(file, channel), doctest::Contains(file.c_str()), IoError);
  CHECK_THROWS_WITH(read_audio(file, channel), doctest::Contains(why));
}

TEST_CASE("audio: each format and rate, to the bit") {
  const test::TempDir dir;
  for (const AudioFormat format :
       {AudioFormat::wav, AudioFormat::wav_float, AudioFormat::flac, AudioFormat::sphere}) {
    for (const int rate : {8000, 11025, 16000, 44100}) {
      for (const std::int64_t count : {1, 63, 20000}) {
        CAPTURE(static_cast<int>(format));
        CAPTURE(rate);
        CAPTURE(count);
        const auto samples = test::made_samples(count, 1);
        test::write_audio(dir / "a", {samples, rate, 1, format});
        const Audio audio = read_audio(dir / "a", 0);
        CHECK(audio.sample_rate == rate);
        CHECK(audio.samples == samples);
        CHECK(read_audio(dir / "a", 1).samples == samples);
      }
    }
  }
}

TEST_CASE("audio: behind a tag with the title") {
  const test::TempDir dir;
  const auto samples = test::made_samples(5000, 1);
  test::write_audio(dir / "plain", {samples, 16000, 1, AudioFormat::flac});
  const std::string flac = read_file(dir / "plain");
  for (const std::size_t size : {0, 1, 127, 128, 3000}) {
    for (const bool footer : {false, true}) {
      std::string tag("ID3\x04\0", 5);
      tag += footer ? '\x10' : '\0';
      for (const int shift : {21, 14, 7, 0}) tag += static_cast<char>(size >> shift & 0x7f);
      tag += std::string(size + (footer ? 10 : 0), 'x');
      test::write_text(dir / "tagged", tag + flac);
      CHECK(read_audio(dir / "tagged", 0).samples == samples);
    }
  }
  test::write_text(dir / "tag alone", std::string("ID3\x04\0\0\0\0\0\x05xxxxx", 15));
  check_refused(dir / "tag alone", 0, "is no audio that tarn reads");
}

TEST_CASE("audio: a WAV file whose data chunk promises more than there is") {
  const test::TempDir dir;
  const auto samples = test::made_samples(1000, 1);
  test::write_audio(dir / "whole", {samples, 8000, 1, AudioFormat::wav});
  std::string wav = read_file(dir / "whole");
  const std::size_t data = wav.find("data") + 4;
  const auto with_size = [&](std::uint32_t size) {
    std::string changed = wav;
    std::memcpy(changed.data() + data, &size, sizeof size);
    test::write_text(dir / "changed", changed);
  };
  with_size(2400);
  check_refused(dir / "changed", 0, "its samples end 400 bytes before its data chunk does");
  with_size(0xffffffff);  // as a program writes that did not know the size
  CHECK(read_audio(dir / "changed", 0).samples == samples);
}

TEST_CASE("audio: a channel of several, which must be chosen") {
  const test::TempDir dir;
  const auto left = test::made_samples(1000, 1), right = test::made_samples(1000, 2);
  std::vector<float> both;
  for (std::size_t i = 0; i < left.size(); ++i) both.insert(both.end(), {left[i], right[i]});
  for (const AudioFormat format : {AudioFormat::wav, AudioFormat::flac}) {
    test::write_audio(dir / "stereo", {both, 16000, 2, format});
    CHECK(read_audio(dir / "stereo", 1).samples == left);
    CHECK(read_audio(dir / "stereo", 2).samples == right);
    check_refused(dir / "stereo", 0, "has 2 channels; speech.channel chooses one, from 1");
    check_refused(dir / "stereo", 3, "has no channel 3: it has 2");
    check_refused(dir / "stereo", -1, "has no channel -1: it has 2");
  }
}

TEST_CASE("audio: files that are cut short, at any place") {
  const test::TempDir dir;
  for (const AudioFormat format : {AudioFormat::wav, AudioFormat::flac, AudioFormat::sphere}) {
    CAPTURE(static_cast<int>(format));
    test::write_audio(dir / "whole", {test::made_samples(20000, 1), 16000, 1, format});
    const std::string bytes = read_file(dir / "whole");
    for (const std::size_t kept : {std::size_t{0}, std::size_t{1}, std::size_t{20}, std::size_t{43},
                                   std::size_t{100}, bytes.size() / 2, bytes.size() - 2}) {
      CAPTURE(kept);
      write_file_atomically(dir / "cut", std::string_view(bytes).substr(0, kept));
      CHECK_THROWS_WITH_AS(read_audio(dir / "cut", 0), doctest::Contains((dir / "cut").c_str()),
                           IoError);
    }
  }
}

TEST_CASE("audio: what is wrong with a file is said") {
  const test::TempDir dir;
  test::write_text(dir / "empty", "");
  check_refused(dir / "empty", 0, "is empty");
  check_refused(dir / "absent", 0, "cannot open");
  check_refused(dir.path(), 0, "cannot read");
  test::write_text(dir / "text", "this is no audio at all");
  check_refused(dir / "text", 0, "WAV, FLAC and NIST SPHERE");
  test::write_audio(dir / "none", {{}, 16000, 1, AudioFormat::wav});
  check_refused(dir / "none", 0, "holds no samples");
  test::write_text(dir / "riff", "RIFF\x04   WAVE");
  check_refused(dir / "riff", 0, "cut short");

  auto samples = test::made_samples(100, 1);
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), -2e6F}) {
    samples[57] = bad;
    test::write_audio(dir / "bad", {samples, 16000, 1, AudioFormat::wav_float});
    check_refused(dir / "bad", 0, "at sample 57; full scale is -1 to 1");
  }

  test::write_audio(dir / "a.sph", {test::made_samples(100, 1), 16000, 1, AudioFormat::sphere});
  std::string shorten = read_file(dir / "a.sph");
  shorten.replace(shorten.find("-s3 pcm"), 7, "-s26 pcm,embedded-shorten-v2.00");
  write_file_atomically(dir / "shorten.sph", shorten);
  check_refused(dir / "shorten.sph", 0, "sph2pipe");
}

TEST_CASE("audio: a wave file of unknown length, as programs write it to a pipe") {
  const test::TempDir dir;
  const auto samples = test::made_samples(500, 1);
  test::write_audio(dir / "a.wav", {samples, 16000, 1, AudioFormat::wav});
  std::string bytes = read_file(dir / "a.wav");
  std::memset(bytes.data() + 4, 0xff, 4);
  std::memset(bytes.data() + 40, 0xff, 4);
  write_file_atomically(dir / "a.wav", bytes);
  CHECK(read_audio(dir / "a.wav", 0).samples == samples);
}

}  // namespace
}  // namespace tarn::data
