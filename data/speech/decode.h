// What was said, from what a model gives each frame: CTC decoding.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace tarn::data {

// The logits of one utterance, row-major [frames, classes]; class 0 is the blank. Any numbers that
// differ from log-probabilities by one constant a frame. Decoding throws Error at a frame that
// holds a NaN or an infinity (minus infinity, a class that cannot be, is taken), since such a frame
// says nothing.
struct FrameLogits {
  std::span<const float> values;
  std::int64_t classes = 0;

  std::int64_t frames() const { return static_cast<std::int64_t>(values.size()) / classes; }
};

struct HeardPhone {
  std::int32_t phone = 0;
  std::int64_t first = 0, end = 0;  // its frames: first <= frame < end
  double probability = 0;           // the geometric mean over its frames
};

struct Heard {
  std::vector<HeardPhone> phones;
  double log_probability = 0;

  std::vector<std::int32_t> labels() const;
};

// The likeliest class of each frame (the first, among equals); repeats made one, blanks left out.
// log_probability is that of this one path.
Heard decode_greedy(const FrameLogits& logits);

// Prefix beam search: the likeliest sequence of phones, summed over its paths, among those that
// `beam` prefixes a frame lead to; with a beam as large as there are prefixes, of all. The times
// are those of its likeliest path.
Heard decode_beam(const FrameLogits& logits, std::int64_t beam);

}  // namespace tarn::data
