// What stands in front of an encoder: a vector for each token, and one for each position.
#pragma once

#include "nn/module.h"

namespace tarn::nn {

// A learned vector for each token. Parameter: weight [vocabulary, width], drawn from the standard
// normal distribution.
class Embedding : public Module {
 public:
  Embedding(const Build& build, std::int64_t vocabulary, std::int64_t width);
  Tensor forward(const Tensor& tokens) const;  // i32 [...] to [..., width]

 private:
  ad::Parameter& weight_;
};

// The authors' sinusoidal positions: sine at even columns, cosine at odd, frequencies
// 10000^(-2i / width). They are concatenated to the token embedding, not added. Buffer:
// pe [1, max_length, width].
class PositionEmbedding : public Module {
 public:
  PositionEmbedding(const Build& build, std::int64_t max_length, std::int64_t width);

  // x [N, L, d] and positions 0 .. L-1 joined to [N, L, d + width]. Throws when L > max_length.
  Tensor concat_to(const Tensor& x) const;
  // x [N, d] and one position joined to [N, d + width].
  Tensor concat_to(const Tensor& x, std::int64_t position) const;
  // The same of a position that lies on the device: i32 [1].
  Tensor concat_to(const Tensor& x, const Tensor& position) const;

 private:
  Tensor pe_;
};

}  // namespace tarn::nn
