// Tokens in, a distribution a position out: the authors' model for the copy task and for images.
#pragma once

#include "nn/embedding.h"
#include "nn/encoder.h"

namespace tarn::nn {

struct SequencePredictorOptions {
  EncoderOptions encoder;
  std::int64_t vocabulary = 11;
  std::int64_t outputs = 11;  // numbers a position: logits, or a mixture's parameters
  std::int64_t max_length = 128;
};

// [token embedding | position], each half the width, then the encoder and a linear predictor.
// Names: pos_embedding.pe, value_embedding.weight, transformer.*, predictor.*.
class SequencePredictor : public Module {
 public:
  SequencePredictor(const Build& build, const SequencePredictorOptions& options);

  std::int64_t max_length() const { return max_length_; }

  Tensor forward(const Tensor& tokens, const AttentionMask& mask, const Pass& pass) const;

  // As an RNN: tokens i32 [N], position by position; returns [N, outputs]. The weights are a copy
  // in the model's own type or in bf16, which many states may share; without any, start() makes
  // one.
  StepWeights step_weights(DType storage) const;
  EncoderState start(std::int64_t batch, StepWeights weights) const;
  EncoderState start(std::int64_t batch) const { return start(batch, step_weights(build().dtype)); }
  Tensor step(const Tensor& tokens, EncoderState& state) const;
  // The same, but what the device does reads the state's position there, from i32 [1]: recorded
  // (core/replay.h), it steps from whatever position it finds.
  Tensor step(const Tensor& tokens, EncoderState& state, const Tensor& device_position) const;
  // A prefix i32 [N, L], L >= 1, in one parallel pass: returns what the last of L steps returns and
  // leaves the state as they do, both to rounding. The state must be at position 0.
  Tensor prefill(const Tensor& tokens, EncoderState& state) const;

 private:
  std::int64_t max_length_;
  PositionEmbedding& pos_embedding_;
  Embedding& value_embedding_;
  Encoder& transformer_;
  Linear& predictor_;
};

}  // namespace tarn::nn
