#include "nn/speech_model.h"

namespace tarn::nn {

SpeechTransformer::SpeechTransformer(const Build& build, const SpeechTransformerOptions& options)
    : SpeechModel(build),
      pos_embedding_(child<PositionEmbedding>("pos_embedding", options.max_length,
                                              options.encoder.width() / 2)),
      input_projection_(child<Linear>("input_projection", options.features,
                                      options.encoder.width() - options.encoder.width() / 2)),
      transformer_(child<Encoder>("transformer", options.encoder)),
      predictor_(child<Linear>("predictor", options.encoder.width(), options.outputs)) {}

Tensor SpeechTransformer::forward(const Tensor& features, const Tensor& lengths,
                                  const Pass& pass) const {
  const Tensor x = pos_embedding_.concat_to(input_projection_.forward(features));
  return predictor_.forward(transformer_.forward(x, {.causal = false, .lengths = lengths}, pass));
}

SpeechLstm::SpeechLstm(const Build& build, const BiLstmOptions& options, std::int64_t outputs)
    : SpeechModel(build),
      lstm_(child<BiLstm>("lstm", options)),
      predictor_(child<Linear>("predictor", 2 * options.hidden, outputs)) {}

Tensor SpeechLstm::forward(const Tensor& features, const Tensor& lengths, const Pass& pass) const {
  return predictor_.forward(lstm_.forward(features, lengths, pass));
}

}  // namespace tarn::nn
