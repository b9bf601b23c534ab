#include "train/tasks/model.h"

#include "kernels/backend.h"

namespace tarn::train {

Compute compute_of(const ModelConfig& config) {
  if (config.compute == "bf16") return Compute::bf16;
  return config.compute == "bf16-emulated" ? Compute::bf16_emulated : Compute::own_type;
}

nn::Build build_of(const Config& config, Device device, DType dtype) {
  const Compute compute = compute_of(config.model);
  kernels::check_compute(compute, device);
  return {
      .path = "", .dtype = dtype, .device = device, .seed = config.run.seed, .compute = compute};
}

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

DType step_storage(const ModelConfig& config) {
  return config.weights == "bf16" ? DType::bf16 : DType::f32;
}

void check_f32_weights(const ModelConfig& config, std::string_view reader) {
  TARN_CHECK_AS(ConfigError, config.weights == "f32", "model.weights is \"", config.weights,
                "\", which is for generation step by step (tarn generate, tarn eval "
                "--recurrent); ",
                reader, " runs all positions at once, for which weights are \"f32\"");
}

}  // namespace tarn::train
