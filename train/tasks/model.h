// From the config's model section to the modules' options.
#pragma once

#include "nn/encoder.h"
#include "train/config/config.h"

namespace tarn::train {

nn::EncoderOptions encoder_options(const ModelConfig& config);

// How the weights are stored that steps of the model as an RNN read.
DType step_storage(const ModelConfig& config);

// ConfigError if model.weights is not f32. reader ("training") is what runs all positions at once,
// with the parameters as they are.
void check_f32_weights(const ModelConfig& config, std::string_view reader);

}  // namespace tarn::train
