// What a trained encoder remembers while it runs as an RNN (encoder.h).
#pragma once

#include <cstdint>
#include <vector>

#include "autograd/encoder_step.h"
#include "core/io/safetensors.h"
#include "nn/attention/attention.h"

namespace tarn::nn {

// The weights as steps read them: a copy, laid out for products with few rows, in the model's own
// type or in bf16. Copies of this value share the elements.
struct StepWeights {
  std::vector<ad::StepLayer> layers;
  ad::NormWeights norm;
  ad::PackedLinear head;  // what a model has behind its encoder, if anything
};

// What an encoder remembers: one state a layer, and the weights that it steps with. A plain value,
// which any thread may step, one at a time.
struct EncoderState {
  StepWeights weights;
  std::vector<AttentionState> layers;

  std::int64_t position() const { return layers.empty() ? 0 : layers.front().position; }
  void set_position(std::int64_t position);
  EncoderState copy() const;

  // The state by name, for a file; it shares the elements. Names: position, layers.{i}.{tensor}.
  NamedTensors named() const;
  // Copies what named() gave into this state, which start() made for the same sizes. Throws
  // UserError with the name of the tensor that is missing, unknown, or of another shape or type.
  void restore(const NamedTensors& tensors);
};

}  // namespace tarn::nn
