// From the config to what modules are built with.
#pragma once

#include "nn/encoder.h"
#include "train/config/config.h"

namespace tarn::train {

Compute compute_of(const ModelConfig& config);

// Of a model at the root, with parameters of f32 or f64. Throws DeviceError where the device cannot
// compute as model.compute says.
nn::Build build_of(const Config& config, Device device, DType dtype = DType::f32);

nn::EncoderOptions encoder_options(const ModelConfig& config);

// How the weights are stored that steps of the model as an RNN read.
DType step_storage(const ModelConfig& config);

// ConfigError if model.weights is not f32. reader ("training") is what runs all positions at once,
// with the parameters as they are.
void check_f32_weights(const ModelConfig& config, std::string_view reader);

}  // namespace tarn::train
