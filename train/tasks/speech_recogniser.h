// A model of speech with what it is asked and answers in: features and phones.
#pragma once

#include <memory>
#include <vector>

#include "data/speech/batches.h"
#include "data/speech/decode.h"
#include "data/speech/phones.h"
#include "nn/speech_model.h"
#include "train/config/config.h"

namespace tarn::train {

class SpeechRecogniser {
 public:
  // The model has fresh parameters, of f32 or f64.
  SpeechRecogniser(const Config& config, Device device, data::PhoneList phones,
                   DType dtype = DType::f32);

  const data::PhoneList& phones() const { return phones_; }
  nn::SpeechModel& model() { return *model_; }
  Device device() const { return device_; }

  // The batch as the model takes it: frames stacked and, in training, masked.
  data::SpeechBatch prepare(const data::SpeechBatch& batch, const nn::Pass& pass) const;
  // Logits [N, T, phones] of a prepared batch.
  Tensor logits(const data::SpeechBatch& prepared, const nn::Pass& pass) const;
  // The phones of each utterance, by a search with `beam` prefixes (0: greedily). Times are in
  // positions of the model. A search throws Interrupted once a signal was noted.
  std::vector<data::Hypothesis> decode(const Tensor& logits, const data::SpeechBatch& prepared,
                                       std::int64_t beam) const;

  // What one position of the model is, in seconds.
  double seconds_per_position() const;

 private:
  SpeechConfig config_;
  Device device_;
  DType dtype_;
  data::PhoneList phones_;
  std::unique_ptr<nn::SpeechModel> model_;
};

}  // namespace tarn::train
