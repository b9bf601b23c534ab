#pragma once

#include "autograd/tape.h"

namespace tarn::ad {

struct LogisticMixture {
  Tensor loss;    // one element: the mean of -log p(target), in nats
  Tensor totals;  // f64 [2]: the sum of -log p(target), and the targets
};

// The discretized mixture of K logistics of kernels/logistic_mixture.h. parameters [..., 3 K]: K
// logits, K means, K log-scales; targets f32 [...], values of 8 bits as v / 255 * 2 - 1.
LogisticMixture logistic_mixture(const Tensor& parameters, const Tensor& targets);

}  // namespace tarn::ad
