// CTC decoding: a sequence of phones from the outputs of a model for each frame.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace tarn::data {

// The logits of one utterance, row-major [frames, classes]; class 0 is the blank. Any numbers that
// differ from log-probabilities by one constant a frame. Decoding throws Error at a frame that
// holds a NaN or plus infinity, or nothing but minus infinities, for lack of a distribution. Minus
// infinity is a class of probability 0.
struct FrameLogits {
  std::span<const float> values;
  std::int64_t classes = 0;

  std::int64_t frames() const { return static_cast<std::int64_t>(values.size()) / classes; }
};

// A decoded phone and the frames that it was found at.
struct AlignedPhone {
  std::int32_t phone = 0;
  std::int64_t first = 0, end = 0;  // its frames: first <= frame < end
  double probability = 0;           // the geometric mean over its frames
};

// What a decoder finds in an utterance.
struct Hypothesis {
  std::vector<AlignedPhone> phones;
  double log_probability = 0;  // natural logarithm, given the features

  std::vector<std::int32_t> labels() const;
};

// The most likely class of each frame (the first, among equals), with repeats merged and blanks
// removed. log_probability is that of this one path.
Hypothesis decode_greedy(const FrameLogits& logits);

// Prefix beam search: the most likely sequence of phones, whose probability is the sum over its
// paths, where only the `beam` best prefixes are kept at each frame; a beam of at least the number
// of prefixes keeps all. beam >= 1. The phones' frames are those of the most likely path.
Hypothesis decode_beam(const FrameLogits& logits, std::int64_t beam);

}  // namespace tarn::data
