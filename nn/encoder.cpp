#include "nn/encoder.h"

#include "autograd/recompute.h"

namespace tarn::nn {

EncoderLayer::EncoderLayer(const Build& build, const EncoderOptions& options)
    : Module(build),
      activation_(options.activation),
      dropout_(options.dropout),
      attention_(child<AttentionLayer>(
          "attention", options.attention, options.width(),
          AttentionOptions{.shape = {options.heads, options.head_dim, options.head_dim},
                           .feature_map = options.feature_map,
                           .dropout = options.attention_dropout,
                           .lsh = options.lsh})),
      linear1_(child<Linear>("linear1", options.width(), options.feed_forward)),
      linear2_(child<Linear>("linear2", options.feed_forward, options.width())),
      norm1_(child<LayerNorm>("norm1", options.width())),
      norm2_(child<LayerNorm>("norm2", options.width())) {}

Tensor EncoderLayer::forward(const Tensor& x, const AttentionMask& mask, const Pass& pass) const {
  return after_attention(x, attention_.forward(x, mask, pass), pass);
}

Tensor EncoderLayer::prefill(const Tensor& x, AttentionState& state) const {
  return after_attention(x, attention_.prefill(x, state), {});
}

ad::StepLayer EncoderLayer::for_steps(DType storage) const {
  ad::StepLayer layer;
  attention_.fill_step(layer, storage);
  layer.linear1 = linear1_.for_steps(storage);
  layer.linear2 = linear2_.for_steps(storage);
  layer.norm1 = norm1_.for_steps();
  layer.norm2 = norm2_.for_steps();
  layer.activation = activation_;
  return layer;
}

Tensor EncoderLayer::after_attention(const Tensor& x, const Tensor& attended,
                                     const Pass& pass) const {
  const double dropout = pass.training ? dropout_ : 0;
  const Tensor a = norm1_.forward_sum(x, attended, dropout, address(pass, "dropout_attention"));
  return norm2_.forward_sum(a, feed_forward(a, pass), dropout,
                            address(pass, "dropout_feed_forward"));
}

Tensor EncoderLayer::feed_forward(const Tensor& x, const Pass& pass) const {
  const Tensor hidden = linear1_.forward(x, {.activation = activation_,
                                             .dropout = pass.training ? dropout_ : 0,
                                             .address = address(pass, "dropout_hidden")});
  return linear2_.forward(hidden);
}

Encoder::Encoder(const Build& build, const EncoderOptions& options)
    : Module(build),
      layers_([&] {
        std::vector<EncoderLayer*> layers;
        for (std::int64_t i = 0; i < options.layers; ++i) {
          layers.push_back(&child<EncoderLayer>(message("layers.", i), options));
        }
        return layers;
      }()),
      norm_(child<LayerNorm>("norm", options.width())) {}

Tensor Encoder::forward(const Tensor& x, const AttentionMask& mask, const Pass& pass) const {
  Tensor y = x;
  for (const EncoderLayer* layer : layers_) {
    const auto forward = [=](const Tensor& in) { return layer->forward(in, mask, pass); };
    y = pass.recompute ? ad::recompute(y, forward) : forward(y);
  }
  return norm_.forward(y);
}

StepWeights Encoder::step_weights(DType storage) const {
  StepWeights weights;
  for (const EncoderLayer* layer : layers_) weights.layers.push_back(layer->for_steps(storage));
  weights.norm = norm_.for_steps();
  return weights;
}

EncoderState Encoder::start(std::int64_t batch, std::int64_t capacity, StepWeights weights) const {
  EncoderState state{std::move(weights), {}};
  for (const EncoderLayer* layer : layers_) state.layers.push_back(layer->start(batch, capacity));
  return state;
}

Tensor Encoder::prefill(const Tensor& x, EncoderState& state) const {
  Tensor y = x;
  for (std::size_t i = 0; i < layers_.size(); ++i) y = layers_[i]->prefill(y, state.layers.at(i));
  return norm_.forward(y);
}

Tensor Encoder::step(const Tensor& x, EncoderState& state, const Tensor& device_position) const {
  std::vector<ad::StepState> states;
  states.reserve(state.layers.size());
  for (const AttentionState& layer : state.layers) {
    states.push_back({layer.tensor(0), layer.tensor(1)});
  }
  Tensor out = ad::encoder_step({.x = x,
                                 .layers = state.weights.layers,
                                 .states = states,
                                 .norm = state.weights.norm,
                                 .head = state.weights.head,
                                 .position = state.position(),
                                 .device_position = device_position});
  state.set_position(state.position() + 1);
  return out;
}

}  // namespace tarn::nn
