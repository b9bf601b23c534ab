// Log-mel filterbank features, as Kaldi's compute-fbank-feats defines them.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "core/tensor.h"

namespace tarn::data {

// Kaldi's names and defaults, but for 40 bins, as the paper has them, and no dither.
struct FbankOptions {
  std::int64_t bins = 40;
  double frame_ms = 25;
  double shift_ms = 10;
  double low_hz = 20;
  double high_hz = 0;  // 0 or less: relative to half the sample rate
  double preemphasis = 0.97;
  double dither = 0;  // standard deviation of the added noise, of samples in -32768 .. 32767

  std::string str() const;  // all of them, exactly: part of the key of the feature cache
};

// Holds the window, the filters and the transform for one sample rate. For one thread at a time.
class Fbank {
 public:
  // Throws ConfigError when the options make no filterbank at this rate.
  Fbank(const FbankOptions& options, std::int64_t sample_rate);
  ~Fbank();
  Fbank(const Fbank&) = delete;
  Fbank& operator=(const Fbank&) = delete;

  // The features of samples (full scale -1 to 1): f32 [frames, bins] on the CPU. Frames that would
  // reach over the end are left out (snip_edges), but there is always one: a signal shorter than a
  // window is followed by silence, where Kaldi has no frame at all.
  Tensor compute(std::span<const float> samples) const;

  std::int64_t window() const;  // in samples
  std::int64_t shift() const;
  std::int64_t frames(std::int64_t samples) const;

 private:
  struct Tables;
  std::unique_ptr<Tables> tables_;
};

}  // namespace tarn::data
