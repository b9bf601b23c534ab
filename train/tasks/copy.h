// The copy task of data/copy_task.h with the authors' model. Metrics: loss (nats, the mean over
// masked positions) and accuracy (the share of masked positions guessed right). The
// model is of dtype, f32 or f64.
#pragma once

#include "train/tasks/task.h"

namespace tarn::train {

std::unique_ptr<Task> make_copy_task(const Config& config, Device device, DType dtype);

}  // namespace tarn::train
