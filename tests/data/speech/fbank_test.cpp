#include "data/speech/fbank.h"

#include <doctest/doctest.h>

#include <chrono>
#include <cmath>
#include <complex>
#include <filesystem>
#include <numbers>
#include <vector>

#include "core/check.h"
#include "core/io/safetensors.h"
#include "data/speech/audio.h"
#include "tests/support/audio_files.h"
#include "tests/support/paths.h"
#include "tests/support/random_tensor.h"

namespace tarn::data {
namespace {

const std::filesystem::path kGolden = test::source_dir() / "tests/golden";

double largest_difference(const Tensor& a, const Tensor& b) {
  REQUIRE(a.shape() == b.shape());
  const auto x = test::to_vector(a), y = test::to_vector(b);
  double largest = 0;
  for (std::size_t i = 0; i < x.size(); ++i) largest = std::max(largest, std::abs(x[i] - y[i]));
  return largest;
}

bool all_finite(const Tensor& features) {
  for (const double value : test::to_vector(features)) {
    if (!std::isfinite(value)) return false;
  }
  return true;
}

// The definition in f64 and without a fast transform: one frame of one bin.
double reference(const std::vector<float>& samples, std::int64_t rate, std::int64_t frame,
                 std::int64_t bin, std::int64_t bins) {
  const auto size = static_cast<std::size_t>(rate / 40),
             shift = static_cast<std::size_t>(rate / 100);
  std::vector<double> x(size);
  double mean = 0;
  for (std::size_t i = 0; i < size; ++i) {
    x[i] = 32768.0 * samples[static_cast<std::size_t>(frame) * shift + i];
    mean += x[i] / static_cast<double>(size);
  }
  for (double& value : x) value -= mean;
  std::vector<double> y(size);
  for (std::size_t i = 0; i < size; ++i) {
    const double turn =
        2 * std::numbers::pi * static_cast<double>(i) / static_cast<double>(size - 1);
    y[i] = (x[i] - 0.97 * x[i == 0 ? 0 : i - 1]) * std::pow(0.5 - 0.5 * std::cos(turn), 0.85);
  }
  std::size_t fft = 1;
  while (fft < size) fft *= 2;
  const auto mel = [](double hz) { return 1127 * std::log1p(hz / 700); };
  const double low = mel(20), step = (mel(static_cast<double>(rate) / 2) - low) / (bins + 1.0);
  double energy = 0;
  for (std::size_t k = 0; k < fft / 2; ++k) {
    const double hz = static_cast<double>(k) * static_cast<double>(rate) / static_cast<double>(fft);
    const double weight =
        1 - std::abs(mel(hz) - (low + (static_cast<double>(bin) + 1) * step)) / step;
    if (weight <= 0) continue;
    std::complex<double> sum = 0;
    for (std::size_t i = 0; i < size; ++i) {
      sum += y[i] * std::polar(1.0, -2 * std::numbers::pi * static_cast<double>(k * i % fft) /
                                        static_cast<double>(fft));
    }
    energy += weight * std::norm(sum);
  }
  return std::log(std::max(energy, 1.1920928955078125e-07));
}

TEST_CASE("fbank: real speech as kaldi-native-fbank has it, at 8 and 16 kHz and odd rates") {
  const SafetensorsFile golden(kGolden / "fbank.safetensors");
  const Audio wide = read_audio(kGolden / "an4_16k.flac", 0);
  const Audio narrow = read_audio(kGolden / "an4_8k.flac", 0);
  REQUIRE(wide.sample_rate == 16000);
  REQUIRE(narrow.sample_rate == 8000);
  const auto check = [&](const char* name, const Audio& audio, std::int64_t rate,
                         const FbankOptions& options) {
    CAPTURE(name);
    const Tensor features = Fbank(options, rate).compute(audio.samples);
    CHECK(largest_difference(features, golden.read(name)) < 1e-3);
  };
  check("16k", wide, 16000, {});
  check("8k", narrow, 8000, {});
  check("16k_80_bins_60_to_7800", wide, 16000, {.bins = 80, .low_hz = 60, .high_hz = -200});
  check("as_11025", wide, 11025, {});
  check("as_44100", wide, 44100, {.bins = 23, .low_hz = 0, .high_hz = 20000});
}

TEST_CASE("fbank: the definition, written out in f64") {
  for (const std::int64_t rate : {8000, 16000}) {
    CAPTURE(rate);
    const auto samples = test::made_samples(rate / 10, 7);
    const Fbank fbank({}, rate);
    const Tensor features = fbank.compute(samples);
    REQUIRE(features.shape() == Shape{8, 40});
    for (const std::int64_t frame : {0, 3, 7}) {
      for (std::int64_t bin = 0; bin < 40; ++bin) {
        const double expected = reference(samples, rate, frame, bin, 40);
        CHECK(features.data<float>()[frame * 40 + bin] == doctest::Approx(expected).epsilon(1e-5));
      }
    }
  }
}

TEST_CASE("fbank: silence is the floor, and clipped samples are finite") {
  const Fbank fbank({}, 16000);
  const Tensor silence = fbank.compute(std::vector<float>(1600, 0.0F));
  for (const double value : test::to_vector(silence)) CHECK(value == doctest::Approx(-15.9424));
  // An offset without a signal is silence too.
  for (const double value : test::to_vector(fbank.compute(std::vector<float>(1600, 0.5F)))) {
    CHECK(value == doctest::Approx(-15.9424));
  }
  std::vector<float> clipped(1600);
  for (std::size_t i = 0; i < clipped.size(); ++i) clipped[i] = i / 50 % 2 == 0 ? 1.0F : -1.0F;
  CHECK(all_finite(fbank.compute(clipped)));
  for (float& sample : clipped) sample *= 1e6F;  // the largest that audio may hold
  CHECK(all_finite(fbank.compute(clipped)));
}

TEST_CASE("fbank: frames are those that fit, and one at least") {
  const Fbank fbank({}, 16000);
  CHECK(fbank.window() == 400);
  CHECK(fbank.shift() == 160);
  const auto frames = [&](std::int64_t samples) {
    const Tensor features = fbank.compute(test::made_samples(samples, 3));
    CHECK(all_finite(features));
    CHECK(features.size(0) == fbank.frames(samples));
    return features.size(0);
  };
  CHECK(frames(1) == 1);
  CHECK(frames(399) == 1);
  CHECK(frames(400) == 1);
  CHECK(frames(559) == 1);
  CHECK(frames(560) == 2);
  CHECK(frames(16000) == 98);
  // What is missing of the only frame is silence.
  auto padded = test::made_samples(100, 3);
  const Tensor alone = fbank.compute(padded);
  padded.resize(400);
  CHECK(largest_difference(alone, fbank.compute(padded)) == 0);
}

TEST_CASE("fbank: dither adds the same noise each time, and only where it is asked for") {
  const Fbank noisy({.dither = 1}, 8000), plain({}, 8000);
  const std::vector<float> silence(800, 0.0F);
  const Tensor once = noisy.compute(silence);
  CHECK(largest_difference(once, noisy.compute(silence)) == 0);
  CHECK(largest_difference(once, plain.compute(silence)) > 5);
}

TEST_CASE("fbank: options that make no filterbank") {
  const auto refused = [](const FbankOptions& options, std::int64_t rate, const char* why) {
    CHECK_THROWS_WITH_AS(Fbank(options, rate), doctest::Contains(why), ConfigError);
  };
  refused({}, 1000, "40 bins are too many for 1000 samples a second");
  refused({.bins = 200}, 16000, "bin 2 would be empty");
  refused({.bins = 0}, 16000, "0 bins");
  refused({.frame_ms = 0}, 16000, "are impossible at 16000");
  refused({.shift_ms = 0.01}, 16000, "are impossible at 16000");
  refused({}, 0, "are impossible at 0");
  refused({}, -8000, "are impossible at -8000");
  refused({.frame_ms = NAN}, 16000, "are impossible");
  refused({.high_hz = 9000}, 16000, "20 to 9000 Hz is no range");
  refused({.low_hz = 5000, .high_hz = 4000}, 16000, "5000 to 4000 Hz is no range");
  refused({.low_hz = -1}, 16000, "-1 to 8000 Hz is no range");
}

TEST_CASE("fbank: options are told apart by their text, to the last bit") {
  CHECK(FbankOptions{}.str() == FbankOptions{}.str());
  CHECK(FbankOptions{.low_hz = 20 + 1e-13}.str() != FbankOptions{}.str());
  CHECK(FbankOptions{.bins = 23}.str() != FbankOptions{}.str());
  CHECK(FbankOptions{.dither = 1}.str() != FbankOptions{}.str());
}

}  // namespace
}  // namespace tarn::data
