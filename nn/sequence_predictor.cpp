#include "nn/sequence_predictor.h"

#include "autograd/views.h"

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

StepWeights SequencePredictor::step_weights(DType storage) const {
  StepWeights weights = transformer_.step_weights(storage);
  weights.head = predictor_.for_steps(storage);
  return weights;
}

EncoderState SequencePredictor::start(std::int64_t batch, StepWeights weights) const {
  return transformer_.start(batch, max_length_, std::move(weights));
}

Tensor SequencePredictor::step(const Tensor& tokens, EncoderState& state) const {
  const Tensor x = pos_embedding_.concat_to(value_embedding_.forward(tokens), state.position());
  return transformer_.step(x, state);
}

Tensor SequencePredictor::step(const Tensor& tokens, EncoderState& state,
                               const Tensor& device_position) const {
  const Tensor x = pos_embedding_.concat_to(value_embedding_.forward(tokens), device_position);
  return transformer_.step(x, state, device_position);
}

Tensor SequencePredictor::prefill(const Tensor& tokens, EncoderState& state) const {
  TARN_CHECK_SHAPE(tokens.rank() == 2 && tokens.size(1) > 0,
                   "prefill: tokens are [N, L] with one position at least, not ", tokens.shape());
  const Tensor x = pos_embedding_.concat_to(value_embedding_.forward(tokens));
  const Tensor y = transformer_.prefill(x, state);
  return predictor_.forward(ad::contiguous(y.select(1, y.size(1) - 1)));
}

}  // namespace tarn::nn
