// The loss of images whose values have an order: the discretized mixture of logistics of PixelCNN++
// (Salimans et al., 2017) as an op. Formula and gradient: kernels/logistic_mixture.h. Throws
// ShapeError, DTypeError or DeviceError that names the argument.
#pragma once

#include "autograd/tape.h"

namespace tarn::ad {

struct LogisticMixture {
  Tensor loss;    // one element: the mean of -log p(target), in nats
  Tensor totals;  // f64 [2]: the sum of -log p(target), and the targets
};

// parameters f32 or f64 [..., 3 K]: K logits, K means, K log-scales; targets f32 [...], values of 8
// bits as v / 255 * 2 - 1. Both contiguous.
LogisticMixture logistic_mixture(const Tensor& parameters, const Tensor& targets);

}  // namespace tarn::ad
