#include "data/speech/fbank.h"

#include <kiss_fftr.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <limits>
#include <numbers>
#include <vector>

#include "core/check.h"
#include "core/rng.h"

namespace tarn::data {
namespace {

constexpr float kFullScale = 32768;  // Kaldi's samples are 16-bit integers
constexpr float kFloor = std::numeric_limits<float>::epsilon();

double mel_of(double hz) { return 1127 * std::log(1 + hz / 700); }

// Hann's window to the power 0.85, which is 0 at both ends.
std::vector<float> povey_window(std::size_t size) {
  std::vector<float> window(size);
  const double turn = 2 * std::numbers::pi / static_cast<double>(size - 1);
  for (std::size_t i = 0; i < size; ++i) {
    window[i] =
        static_cast<float>(std::pow(0.5 - 0.5 * std::cos(turn * static_cast<double>(i)), 0.85));
  }
  return window;
}

// A triangular filter on the mel scale: its weights for the spectrum's bins from `first` on.
struct Filter {
  std::size_t first = 0;
  std::vector<float> weights;
};

// The filter rises from 0 at `low` to 1 at `middle` and falls to 0 at `high`, all in mel.
Filter triangle(double low, double middle, double high, std::size_t spectrum, double bin_hz) {
  Filter filter;
  for (std::size_t i = 0; i < spectrum; ++i) {
    const double mel = mel_of(bin_hz * static_cast<double>(i));
    if (mel <= low || mel >= high) continue;
    if (filter.weights.empty()) filter.first = i;
    filter.weights.push_back(static_cast<float>(mel <= middle ? (mel - low) / (middle - low)
                                                              : (high - mel) / (high - middle)));
  }
  return filter;
}

std::vector<Filter> mel_filters(const FbankOptions& options, double rate, std::size_t fft) {
  const double nyquist = rate / 2;
  const double high_hz = options.high_hz > 0 ? options.high_hz : nyquist + options.high_hz;
  TARN_CHECK_AS(ConfigError, options.low_hz >= 0 && options.low_hz < high_hz && high_hz <= nyquist,
                "filterbank: ", options.low_hz, " to ", high_hz,
                " Hz is no range of frequencies at ", rate, " samples a second");
  const double low = mel_of(options.low_hz);
  const double step = (mel_of(high_hz) - low) / static_cast<double>(options.bins + 1);
  std::vector<Filter> filters;
  for (std::int64_t b = 0; b < options.bins; ++b) {
    const double left = low + static_cast<double>(b) * step;
    filters.push_back(
        triangle(left, left + step, left + 2 * step, fft / 2, rate / static_cast<double>(fft)));
    TARN_CHECK_AS(ConfigError, !filters.back().weights.empty(), "filterbank: ", options.bins,
                  " bins are too many for ", rate, " samples a second and windows of ",
                  options.frame_ms, " ms: bin ", b, " would be empty");
  }
  return filters;
}

std::size_t samples_in(double rate, double milliseconds) {
  return static_cast<std::size_t>(rate * 0.001 * milliseconds);  // in Kaldi's order of operations
}

struct FreePlan {
  void operator()(kiss_fftr_cfg plan) const { kiss_fftr_free(plan); }
};
using Plan = std::unique_ptr<kiss_fftr_state, FreePlan>;

}  // namespace

struct Fbank::Tables {
  FbankOptions options;
  std::size_t shift = 0;
  std::size_t fft = 0;  // the window's size, rounded up to a power of 2
  std::vector<float> window;
  std::vector<Filter> filters;
  Plan plan;
};

namespace {

// Working memory for one frame: its samples, their spectrum, and the spectrum's power.
struct Scratch {
  std::vector<float> frame;
  std::vector<kiss_fft_cpx> spectrum;
  std::vector<float> power;
};

// Subtracts the mean, raises high frequencies (preemphasis), and applies the window.
void shape_frame(std::span<float> frame, std::span<const float> window, float preemphasis) {
  double sum = 0;
  for (const float sample : frame) sum += sample;
  const auto mean = static_cast<float>(sum / static_cast<double>(frame.size()));
  for (float& sample : frame) sample -= mean;
  for (std::size_t i = frame.size() - 1; i > 0; --i) frame[i] -= preemphasis * frame[i - 1];
  frame[0] -= preemphasis * frame[0];
  for (std::size_t i = 0; i < frame.size(); ++i) frame[i] *= window[i];
}

float log_energy(const Filter& filter, std::span<const float> power) {
  const float* bins = power.data() + filter.first;
  double energy = 0;
  for (std::size_t i = 0; i < filter.weights.size(); ++i) energy += filter.weights[i] * bins[i];
  return std::log(std::max(static_cast<float>(energy), kFloor));
}

}  // namespace

std::string FbankOptions::str() const {
  std::string out = message("fbank bins ", bins);
  const auto add = [&out](const char* name, double value) {
    char text[64];
    std::snprintf(text, sizeof text, " %s %.17g", name, value);
    out += text;
  };
  add("frame", frame_ms);
  add("shift", shift_ms);
  add("low", low_hz);
  add("high", high_hz);
  add("preemphasis", preemphasis);
  add("dither", dither);
  return out;
}

Fbank::Fbank(const FbankOptions& options, std::int64_t sample_rate)
    : tables_(std::make_unique<Tables>()) {
  const auto rate = static_cast<double>(sample_rate);
  const bool sized = sample_rate >= 1 && sample_rate <= 10'000'000 && options.frame_ms > 0 &&
                     options.frame_ms <= 10'000 && options.shift_ms > 0 &&
                     options.shift_ms <= 10'000 && samples_in(rate, options.frame_ms) >= 2 &&
                     samples_in(rate, options.shift_ms) >= 1;
  TARN_CHECK_AS(ConfigError, sized, "filterbank: windows of ", options.frame_ms, " ms every ",
                options.shift_ms, " ms are impossible at ", sample_rate, " samples a second");
  TARN_CHECK_AS(ConfigError, options.bins >= 1 && options.bins <= 4096,
                "filterbank: ", options.bins, " bins; there must be 1 to 4096");
  const std::size_t window = samples_in(rate, options.frame_ms);
  tables_->options = options;
  tables_->shift = samples_in(rate, options.shift_ms);
  tables_->fft = std::bit_ceil(window);
  tables_->window = povey_window(window);
  tables_->filters = mel_filters(options, rate, tables_->fft);
  tables_->plan.reset(kiss_fftr_alloc(static_cast<int>(tables_->fft), 0, nullptr, nullptr));
  TARN_CHECK(tables_->plan != nullptr, "filterbank: no memory for a transform of ", tables_->fft);
}

Fbank::~Fbank() = default;

std::int64_t Fbank::window() const { return static_cast<std::int64_t>(tables_->window.size()); }
std::int64_t Fbank::shift() const { return static_cast<std::int64_t>(tables_->shift); }

std::int64_t Fbank::frames(std::int64_t samples) const {
  return samples < window() ? 1 : 1 + (samples - window()) / shift();
}

Tensor Fbank::compute(std::span<const float> samples) const {
  const Tables& t = *tables_;
  const std::int64_t count = frames(static_cast<std::int64_t>(samples.size()));
  Tensor out = Tensor::empty({count, t.options.bins}, DType::f32, Device::cpu());
  float* row = out.mutable_data<float>();
  const RngAddress noise{0, site_of("fbank.dither"), 0};
  const auto dither = t.options.dither;
  Scratch scratch{std::vector<float>(t.fft), std::vector<kiss_fft_cpx>(t.fft / 2 + 1),
                  std::vector<float>(t.fft / 2)};
  const std::span<float> frame = std::span(scratch.frame).first(t.window.size());
  for (std::size_t first = 0; row != out.data<float>() + out.elements(); first += t.shift) {
    for (std::size_t i = 0; i < frame.size(); ++i) {
      const std::size_t at = first + i;
      frame[i] = at < samples.size() ? samples[at] * kFullScale : 0;
      if (dither != 0) frame[i] += static_cast<float>(dither * random_normal(noise, at));
    }
    shape_frame(frame, t.window, static_cast<float>(t.options.preemphasis));
    kiss_fftr(t.plan.get(), scratch.frame.data(), scratch.spectrum.data());
    for (std::size_t i = 0; i < scratch.power.size(); ++i) {
      const auto [re, im] = scratch.spectrum[i];
      scratch.power[i] = re * re + im * im;
    }
    for (const Filter& filter : t.filters) *row++ = log_energy(filter, scratch.power);
  }
  return out;
}

}  // namespace tarn::data
