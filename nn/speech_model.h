// Features of speech in, a distribution over phones a frame out: the paper's models of section 4.3,
// which its authors never released.
#pragma once

#include "nn/embedding.h"
#include "nn/encoder.h"
#include "nn/lstm.h"

namespace tarn::nn {

class SpeechModel : public Module {
 public:
  // features [N, T, features], lengths i32 [N]; returns logits [N, T, outputs]. Frames past a
  // length change nothing before it; the logits there are finite and mean nothing.
  virtual Tensor forward(const Tensor& features, const Tensor& lengths, const Pass& pass) const = 0;

 protected:
  using Module::Module;
};

struct SpeechTransformerOptions {
  EncoderOptions encoder;
  std::int64_t features = 40;
  std::int64_t outputs = 40;
  std::int64_t max_length = 2400;
};

// [projected features | position], each half the width as in the authors' other models (the paper
// does not say), then the encoder, which sees the whole utterance, and a linear predictor.
// Names: pos_embedding.pe, input_projection.*, transformer.*, predictor.*.
class SpeechTransformer : public SpeechModel {
 public:
  SpeechTransformer(const Build& build, const SpeechTransformerOptions& options);
  Tensor forward(const Tensor& features, const Tensor& lengths, const Pass& pass) const override;

 private:
  PositionEmbedding& pos_embedding_;
  Linear& input_projection_;
  Encoder& transformer_;
  Linear& predictor_;
};

// The bidirectional LSTM and a linear predictor. Names: lstm.*, predictor.*.
class SpeechLstm : public SpeechModel {
 public:
  SpeechLstm(const Build& build, const BiLstmOptions& options, std::int64_t outputs);
  Tensor forward(const Tensor& features, const Tensor& lengths, const Pass& pass) const override;

 private:
  BiLstm& lstm_;
  Linear& predictor_;
};

}  // namespace tarn::nn
