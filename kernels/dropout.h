// Dropout (Srivastava et al., 2014) without a stored mask: the address gives it again.
#pragma once

#include "core/rng.h"
#include "core/tensor.h"

namespace tarn::kernels {

// out = beta * out + (x where kept) / (1 - probability). f32 or f64, contiguous, same shape.
// Element i is kept when element i of the stream is at or above random_threshold(probability); the
// backward is the same call.
struct DropoutArgs {
  Tensor x, out;
  double probability = 0;
  RngAddress address;
  double beta = 0;
};

}  // namespace tarn::kernels
