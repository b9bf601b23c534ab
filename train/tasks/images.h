// The image tasks (the paper's section 4.2): each value of an image is predicted from those before
// it.
#pragma once

#include "nn/sequence_predictor.h"
#include "train/tasks/task.h"

namespace tarn::train {

// What the model of a config for images is: 256 values in, the parameters of a mixture of logistics
// or 256 logits out.
nn::SequencePredictorOptions image_predictor_options(const Config& config);

// Images value by value: each is predicted from those before it in its image, except the first,
// which is not scored. Metrics: loss (nats, the mean over predicted values) and bits_per_dim (the
// same over ln 2). The model is of dtype, f32 or f64.
std::unique_ptr<Task> make_image_task(const Config& config, Device device, DType dtype);

}  // namespace tarn::train
