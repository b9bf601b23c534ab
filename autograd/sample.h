// Values drawn from the distributions that a model predicts; kernels/sample.h has the formulas.
// Never recorded.
#pragma once

#include "core/rng.h"
#include "core/tensor.h"

namespace tarn::ad {

// Row r draws the numbers of block first + r at the address, whatever the other rows are.
struct SampleOptions {
  double temperature = 1;  // 0: the likeliest; finite and not negative
  RngAddress address;
  std::uint32_t first = 0;
  Tensor device_step = {};  // i32 [1] on the outputs' device: read there in place of address.step
};

enum class LogisticScale {
  exact,  // the loss's own
  compat  // the authors' sampler's, which is smaller for log-scales above 0
};

// outputs [N, 3 K]: K logits, K means, K log-scales; returns i32 [N], values 0 to 255.
Tensor sample_logistic_mixture(const Tensor& outputs, LogisticScale scale,
                               const SampleOptions& options);

// logits [N, K]; returns i32 [N], values 0 to K - 1.
Tensor sample_categorical(const Tensor& logits, const SampleOptions& options);

}  // namespace tarn::ad
