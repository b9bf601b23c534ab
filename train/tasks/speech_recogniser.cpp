#include "train/tasks/speech_recogniser.h"

#include "core/transfer.h"
#include "data/speech/augment.h"
#include "data/speech/fbank.h"
#include "train/run/signals.h"
#include "train/tasks/float_type.h"
#include "train/tasks/model.h"

namespace tarn::train {
namespace {

std::unique_ptr<nn::SpeechModel> make_model(const Config& config, std::int64_t phones,
                                            Device device, DType dtype) {
  const nn::Build build = build_of(config, device, dtype);
  const std::int64_t features =
      config.speech.bins * (config.speech.stack + 2 * config.speech.context);
  if (config.model.kind == "bilstm") {
    const nn::BiLstmOptions options{.input = features,
                                    .hidden = config.model.hidden,
                                    .layers = config.model.layers,
                                    .dropout = config.model.dropout};
    return std::make_unique<nn::SpeechLstm>(build, options, phones);
  }
  const nn::SpeechTransformerOptions options{.encoder = encoder_options(config.model),
                                             .features = features,
                                             .outputs = phones,
                                             .max_length = config.speech.max_frames};
  return std::make_unique<nn::SpeechTransformer>(build, options);
}

}  // namespace

SpeechRecogniser::SpeechRecogniser(const Config& config, Device device, data::PhoneList phones,
                                   DType dtype)
    : config_(config.speech),
      device_(device),
      dtype_(dtype),
      phones_(std::move(phones)),
      model_(make_model(config, phones_.size(), device, dtype)) {}

data::SpeechBatch SpeechRecogniser::prepare(const data::SpeechBatch& batch,
                                            const nn::Pass& pass) const {
  const data::MaskOptions masks{.time_masks = config_.time_masks,
                                .time_width = config_.time_width,
                                .bin_masks = config_.bin_masks,
                                .bin_width = config_.bin_width};
  if (pass.training && masks.any()) {
    data::mask_features(batch, masks, {pass.seed, site_of("speech.masks"), pass.step});
  }
  return data::stack_frames(batch, config_.stack, config_.context);
}

Tensor SpeechRecogniser::logits(const data::SpeechBatch& prepared, const nn::Pass& pass) const {
  const Tensor features = in_float_type(prepared.features, dtype_);
  return model_->forward(copy_to(features, device_), copy_to(prepared.lengths, device_), pass);
}

std::vector<data::Hypothesis> SpeechRecogniser::decode(const Tensor& logits,
                                                       const data::SpeechBatch& prepared,
                                                       std::int64_t beam) const {
  const Tensor host = in_float_type(copy_to(logits, Device::cpu()), DType::f32);
  const std::int64_t classes = host.size(2);
  std::vector<data::Hypothesis> hypotheses;
  for (std::int64_t n = 0; n < host.size(0); ++n) {
    if (beam > 0) stop_if_signalled();  // a beam may take longer than the model
    const std::int64_t length = prepared.lengths.data<std::int32_t>()[n];
    const data::FrameLogits frames{{host.data<float>() + n * host.size(1) * classes,
                                    static_cast<std::size_t>(length * classes)},
                                   classes};
    hypotheses.push_back(beam == 0 ? data::decode_greedy(frames) : data::decode_beam(frames, beam));
  }
  return hypotheses;
}

double SpeechRecogniser::seconds_per_position() const {
  return static_cast<double>(config_.stack) * data::FbankOptions().shift_ms / 1000;
}

}  // namespace tarn::train
