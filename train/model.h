// From the config's model section to the modules' options.
#pragma once

#include "nn/encoder.h"
#include "train/config.h"

namespace tarn::train {

nn::EncoderOptions encoder_options(const ModelConfig& config);

}  // namespace tarn::train
