#include "train/model.h"

namespace tarn::train {

nn::EncoderOptions encoder_options(const ModelConfig& config) {
  nn::EncoderOptions options;
  options.attention = config.attention;
  options.feature_map = config.feature_map;
  options.layers = config.layers;
  options.heads = config.heads;
  options.head_dim = config.head_dim;
  options.feed_forward = config.feed_forward != 0 ? config.feed_forward : 4 * options.width();
  options.activation = config.activation == "gelu" ? ad::Unary::gelu : ad::Unary::relu;
  options.dropout = config.dropout;
  options.attention_dropout = config.attention_dropout;
  options.lsh = {config.lsh_rounds, config.lsh_bits, config.lsh_chunk, config.lsh_masked};
  return options;
}

}  // namespace tarn::train
