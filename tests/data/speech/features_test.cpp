#include "data/speech/features.h"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "core/check.h"
#include "core/io/file.h"
#include "core/transfer.h"
#include "data/speech/audio.h"
#include "data/speech/feature_cache.h"
#include "tests/support/audio_files.h"
#include "tests/support/optional_data.h"
#include "tests/support/program.h"
#include "tests/support/random_tensor.h"
#include "tests/support/temp_dir.h"

namespace tarn::data {
namespace {

using test::to_vector;

const FeatureOptions kRaw{.normalisation = Normalisation::none};

SpeechFolder read_folder(const std::filesystem::path& dir) {
  return read_speech_folder({.folder = dir, .text = ""});
}

bool equal(const SpeechFeatures& a, const SpeechFeatures& b) {
  if (a.frames.size() != b.frames.size()) return false;
  for (std::size_t i = 0; i < a.frames.size(); ++i) {
    if (a.frames[i].shape() != b.frames[i].shape()) return false;
    if (to_vector(a.frames[i]) != to_vector(b.frames[i])) return false;
  }
  return true;
}

std::vector<std::filesystem::path> files_in(const std::filesystem::path& dir) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(dir)) files.push_back(entry.path());
  return files;
}

// Mean and variance of a bin over tensors.
std::pair<double, double> statistics(const std::vector<Tensor>& tensors, std::int64_t bin) {
  double count = 0, sum = 0, squares = 0;
  for (const Tensor& tensor : tensors) {
    for (const double value : to_vector(tensor.select(1, bin))) {
      ++count;
      sum += value;
      squares += value * value;
    }
  }
  return {sum / count, squares / count - sum / count * sum / count};
}

TEST_CASE("features: those of each audio file, in the folder's order") {
  const test::TempDir dir;
  test::write_speech_folder(dir.path(), 5);
  const SpeechFolder folder = read_folder(dir.path());
  const SpeechFeatures features = load_features(folder, kRaw, "");
  REQUIRE(features.frames.size() == 5);
  CHECK(features.sample_rate == 8000);
  CHECK(features.samples == (3 + 4 + 5 + 6 + 7) * 800);
  CHECK(features.computed == 5);
  CHECK(features.warnings.empty());
  for (std::size_t i = 0; i < 5; ++i) {
    const Audio audio = read_audio(folder.utterances[i].audio, 0);
    CHECK(to_vector(features.frames[i]) == to_vector(Fbank({}, 8000).compute(audio.samples)));
  }
}

TEST_CASE("features: mean 0 and variance 1 by speaker and by utterance") {
  const test::TempDir dir;
  test::write_speech_folder(dir.path(), 5);
  const SpeechFolder folder = read_folder(dir.path());
  const SpeechFeatures by_speaker = load_features(folder, {}, "");
  const SpeechFeatures by_utterance =
      load_features(folder, {.normalisation = Normalisation::utterance}, "");
  const auto check = [](const std::vector<Tensor>& tensors) {
    for (const std::int64_t bin : {0, 17, 39}) {
      const auto [mean, variance] = statistics(tensors, bin);
      CHECK(std::abs(mean) < 1e-6);
      CHECK(variance == doctest::Approx(1).epsilon(1e-5));
    }
  };
  check({by_speaker.frames[0], by_speaker.frames[2], by_speaker.frames[4]});
  check({by_speaker.frames[1], by_speaker.frames[3]});
  for (const Tensor& frames : by_utterance.frames) check({frames});
  CHECK_FALSE(equal(by_speaker, by_utterance));
}

TEST_CASE("features: a bin that never changes becomes 0, and far from 0 nothing is lost") {
  constexpr std::int64_t kFrames = 1001;
  Tensor frames = Tensor::empty({kFrames, 2}, DType::f32, Device::cpu());
  for (std::int64_t t = 0; t < kFrames; ++t) {
    frames.mutable_data<float>()[2 * t] = -15.9424F;
    // Sums in f32, or of squares, would not see this.
    frames.mutable_data<float>()[2 * t + 1] = 65536 + 0.0078125F * static_cast<float>(t % 2);
  }
  normalise({&frames, 1});
  for (const double value : to_vector(frames.select(1, 0))) CHECK(value == 0);
  const auto [mean, variance] = statistics({frames}, 1);
  CHECK(std::abs(mean) < 1e-6);
  CHECK(variance == doctest::Approx(1).epsilon(1e-5));
  normalise({});
}

TEST_CASE("features: the shortest audio, silence and clipped audio are trained on like others") {
  const test::TempDir dir;
  test::write_audio(dir / "one.wav", {{0.5F}, 16000});
  test::write_audio(dir / "frame.wav", {test::made_samples(400, 1), 16000});
  test::write_audio(dir / "silence.wav", {std::vector<float>(1600, 0.0F), 16000});
  std::vector<float> clipped(1600, 0.999969482421875F);
  for (std::size_t i = 0; i < clipped.size(); i += 3) clipped[i] = -1;
  test::write_audio(dir / "clipped.wav", {clipped, 16000});
  test::write_text(dir / "wav.scp",
                   "a one.wav\n"
                   "b frame.wav\n"
                   "c silence.wav\n"
                   "d clipped.wav\n");
  test::write_text(dir / "utt2spk",
                   "a a\n"
                   "b b\n"
                   "c c\n"
                   "d d\n");
  const SpeechFolder folder = read_folder(dir.path());
  for (const auto kind : {Normalisation::none, Normalisation::utterance, Normalisation::speaker}) {
    const SpeechFeatures features = load_features(folder, {.normalisation = kind}, "");
    CHECK(features.frames[0].shape() == Shape{1, 40});
    CHECK(features.frames[1].shape() == Shape{1, 40});
    CHECK(features.frames[2].shape() == Shape{8, 40});
    for (const Tensor& frames : features.frames) {
      for (const double value : to_vector(frames)) CHECK(std::isfinite(value));
    }
  }
}

TEST_CASE("feature cache: computed once, for each audio and each setting") {
  const test::TempDir dir, cache(test::fast_directory());
  test::write_speech_folder(dir.path(), 5);
  const SpeechFolder folder = read_folder(dir.path());
  const SpeechFeatures first = load_features(folder, {}, cache / "a/b");
  CHECK(first.computed == 5);
  const SpeechFeatures again = load_features(folder, {}, cache / "a/b");
  CHECK(again.computed == 0);
  CHECK(again.sample_rate == 8000);
  CHECK(again.samples == first.samples);
  CHECK(again.warnings.empty());
  CHECK(equal(again, first));
  CHECK(equal(load_features(folder, {}, ""), first));
  // Normalisation is no part of what is stored.
  CHECK(load_features(folder, kRaw, cache / "a/b").computed == 0);
  // Everything else is.
  CHECK(load_features(folder, {.fbank = {.bins = 23}}, cache / "a/b").computed == 5);
  CHECK(load_features(folder, {.fbank = {.low_hz = 21}}, cache / "a/b").computed == 5);
  CHECK(load_features(folder, {.channel = 1}, cache / "a/b").computed == 5);
  // Another place is the same audio; other audio in the same place is not.
  std::filesystem::rename(dir / "u1.flac", dir / "moved.flac");
  std::filesystem::rename(dir / "u2.flac", dir / "u1.flac");
  std::filesystem::rename(dir / "moved.flac", dir / "u2.flac");
  test::write_audio(dir / "u0.flac",
                    {test::made_samples(999, 99), 8000, 1, test::AudioFormat::flac});
  const SpeechFeatures changed = load_features(folder, {}, cache / "a/b");
  CHECK(changed.computed == 1);
  CHECK(equal(changed, load_features(folder, {}, "")));
}

TEST_CASE("feature cache: a spoilt file is told, and computed again") {
  const test::TempDir dir, cache(test::fast_directory());
  test::write_speech_folder(dir.path(), 2);
  const SpeechFolder folder = read_folder(dir.path());
  const SpeechFeatures good = load_features(folder, kRaw, cache.path());
  const auto file = files_in(cache.path()).front();
  const std::string bytes = read_file(file);
  const auto spoil = [&](const std::string& spoilt) {
    write_file_atomically(file, spoilt);
    const SpeechFeatures features = load_features(folder, kRaw, cache.path());
    CHECK(features.computed == 1);
    REQUIRE(features.warnings.size() == 1);
    CHECK(features.warnings[0].starts_with("computed again: "));
    CHECK(features.warnings[0].find(file.filename().string()) != std::string::npos);
    CHECK(equal(features, good));
    CHECK(read_file(file) == bytes);  // mended
  };
  spoil("");
  spoil(bytes.substr(0, bytes.size() / 2));
  spoil(bytes.substr(0, bytes.size() - 1));
  // Any byte of the numbers, and of what is said of them.
  for (std::size_t at = 8; at < bytes.size(); at += at < 600 ? 7 : 997) {
    CAPTURE(at);
    std::string spoilt = bytes;
    spoilt[at] ^= 1;
    spoil(spoilt);
  }
}

// A child process that loads the features; its exit code is 0 if they are those wanted.
pid_t load_in_child(const SpeechFolder& folder, const std::filesystem::path& cache,
                    const SpeechFeatures& expected) {
  const pid_t child = fork();
  if (child != 0) return child;
  int code = 1;
  try {
    code = equal(load_features(folder, {}, cache), expected) ? 0 : 1;
  } catch (const std::exception&) {
    code = 2;
  }
  _exit(code);
}

TEST_CASE("feature cache: processes that fill one at the same time") {
  const test::TempDir dir, cache(test::fast_directory());
  test::write_speech_folder(dir.path(), 14);
  const SpeechFolder folder = read_folder(dir.path());
  const SpeechFeatures expected = load_features(folder, {}, "");
  for (int round = 0; round < 5; ++round) {
    const auto place = cache / message(round);
    std::vector<pid_t> children;
    for (int i = 0; i < 3; ++i) children.push_back(load_in_child(folder, place, expected));
    for (const pid_t child : children) {
      int status = -1;
      REQUIRE(waitpid(child, &status, 0) == child);
      CHECK(status == 0);
    }
    CHECK(files_in(place).size() == 14);  // and nothing half written beside them
    const SpeechFeatures after = load_features(folder, {}, place);
    CHECK(after.computed == 0);
    CHECK(equal(after, expected));
  }
}

TEST_CASE("feature cache: a file of other audio or settings under this name is not taken") {
  const test::TempDir dir;
  const AudioFeatures features{Tensor::zeros({3, 2}, DType::f32, Device::cpu()), 8000, 700};
  const FeatureCache cache(dir.path(), "settings"), other(dir.path(), "other");
  CHECK_FALSE(cache.find("audio").has_value());
  cache.store("audio", features);
  const auto found = cache.find("audio");
  REQUIRE(found.has_value());
  CHECK(found->sample_rate == 8000);
  CHECK(found->samples == 700);
  CHECK(found->frames.shape() == Shape{3, 2});
  std::filesystem::copy(cache.file_for("audio"), cache.file_for("noise"));
  CHECK_THROWS_WITH_AS(cache.find("noise"), doctest::Contains("is not what was written"), IoError);
  std::filesystem::copy(cache.file_for("audio"), other.file_for("audio"));
  CHECK_THROWS_WITH_AS(other.find("audio"), doctest::Contains("is not what was written"), IoError);
}

TEST_CASE("features: mistakes are named with wav.scp's line") {
  const test::TempDir dir, cache(test::fast_directory());
  test::write_speech_folder(dir.path(), 3);
  const SpeechFolder folder = read_folder(dir.path());
  const auto refused = [&](const FeatureOptions& options, const std::string& why) {
    // Again with what the cache has by now.
    for (int i = 0; i < 2; ++i) {
      CHECK_THROWS_WITH_AS(load_features(folder, options, cache.path()),
                           doctest::Contains(why.c_str()), IoError);
    }
  };
  const std::string second = message((dir / "wav.scp").string(), ":2: u1: ");
  const std::string file = (dir / "u1.flac").string();
  refused({.sample_rate = 16000},
          message(file.substr(0, file.size() - 7), "u0.flac has 8000 samples a second, and 16000 ",
                  "are expected: what speech.sample_rate says"));
  const std::string flac = read_file(dir / "u1.flac");
  write_file_atomically(dir / "u1.flac", flac.substr(0, flac.size() - 100));
  refused({}, message(second, file, " is damaged or cut short"));
  test::write_audio(dir / "u1.flac", {.samples = test::made_samples(500, 1), .sample_rate = 16000});
  refused({}, message(second, file, " has 16000 samples a second, and 8000 are expected"));
  test::write_audio(dir / "u1.flac",
                    {.samples = test::made_samples(500, 1), .sample_rate = 8000, .channels = 2});
  refused({}, message(second, file, " has 2 channels"));
  std::vector<float> samples = test::made_samples(500, 1);
  samples[57] = std::numeric_limits<float>::quiet_NaN();
  test::write_audio(dir / "u1.flac", {samples, 8000, 1, test::AudioFormat::wav_float});
  refused({}, message(second, file, " holds nan at sample 57"));
  test::write_text(dir / "u1.flac", "");
  refused({}, message(second, file, " is empty"));
  test::write_text(dir / "u1.flac", "no audio");
  refused({}, message(second, file, " is no audio that tarn reads"));
  std::filesystem::remove(dir / "u1.flac");
  refused({}, message(second, "cannot open ", file));
}

TEST_CASE("features: AN4's are finite, and as long as the audio") {
  const auto data = test::optional_data("data/speech/an4");
  if (data.empty()) return;
  const auto an4 = data / "data/speech/an4";
  const SpeechFolder folder = read_speech_folder({.folder = an4 / "test", .root = an4, .text = ""});
  const SpeechFeatures features = load_features(folder, {}, "");
  CHECK(features.sample_rate == 16000);
  CHECK(static_cast<double>(features.samples) / 16000 == doctest::Approx(357).epsilon(0.01));
  std::int64_t longest = 0;
  bool finite = true;
  for (const Tensor& frames : features.frames) {
    longest = std::max(longest, frames.size(0));
    for (const double value : to_vector(frames)) finite = finite && std::isfinite(value);
  }
  CHECK(finite);
  CHECK(longest < 660);
}

}  // namespace
}  // namespace tarn::data
