#include "nn/sequence_predictor.h"

namespace tarn::nn {

SequencePredictor::SequencePredictor(const Build& build, const SequencePredictorOptions& options)
    : Module(build),
      max_length_(options.max_length),
      pos_embedding_(child<PositionEmbedding>("pos_embedding", options.max_length,
                                              options.encoder.width() / 2)),
      value_embedding_(child<Embedding>("value_embedding", options.vocabulary,
                                        options.encoder.width() - options.encoder.width() / 2)),
      transformer_(child<Encoder>("transformer", options.encoder)),
      predictor_(child<Linear>("predictor", options.encoder.width(), options.outputs)) {}

Tensor SequencePredictor::forward(const Tensor& tokens, const AttentionMask& mask,
                                  const Pass& pass) const {
  const Tensor x = pos_embedding_.concat_to(value_embedding_.forward(tokens));
  return predictor_.forward(transformer_.forward(x, mask, pass));
}

Tensor SequencePredictor::step(const Tensor& tokens, EncoderState& state) const {
  const std::int64_t position = state.layers.empty() ? 0 : state.layers.front().position;
  const Tensor x = pos_embedding_.concat_to(value_embedding_.forward(tokens), position);
  return predictor_.forward(transformer_.step(x, state));
}

}  // namespace tarn::nn
