// Values drawn from the distributions that a model predicts. Row r draws the numbers of block
// first + r at the address: what a sequence draws does not depend on the batch it stands in. Where
// device_step (i32 [1]) is defined, it is read in place of the address's step.
#pragma once

#include "core/rng.h"
#include "core/tensor.h"

namespace tarn::kernels {

// Values 0 to 255 from the mixture of K logistics whose loss kernels/logistic_mixture.h has. A row
// of outputs is K logits, K means and K log-scales raw: a component k is drawn from softmax(logits
// / temperature), x from the logistic of its mean and temperature * scale, and the value is
// clamp(round((x + 1) / 2 * 255), 0, 255). At temperature 0 it is the likeliest component's mean.
// scale: the loss's own, exp(max(raw, -7)); or, if compat, elu(raw) + 1.0001, as the authors' code
// has it. outputs: contiguous [rows, 3 K]; values i32 [rows].
struct SampleLogisticMixtureArgs {
  Tensor outputs, values;
  double temperature = 1;
  bool compat = false;
  RngAddress address;
  Tensor device_step;
  std::uint32_t first = 0;
};

// Values 0 to K - 1 from softmax(logits / temperature); at temperature 0 the likeliest, the first
// among equals. logits: contiguous [rows, K]; values i32 [rows].
struct SampleCategoricalArgs {
  Tensor logits, values;
  double temperature = 1;
  RngAddress address;
  Tensor device_step;
  std::uint32_t first = 0;
};

}  // namespace tarn::kernels
