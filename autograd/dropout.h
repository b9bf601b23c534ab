// Dropout (Srivastava et al., 2014) as an op of its own. A residual branch, a linear layer and
// softmax attention have it within their own ops instead. Throws ShapeError, DTypeError, or Error
// for a probability outside [0, 1).
#pragma once

#include "autograd/tape.h"
#include "core/rng.h"

namespace tarn::ad {

// Each element of x, f32 or f64 and contiguous, becomes 0 with the probability; the others are
// divided by 1 - probability. No mask is stored: the backward draws it again from the address.
Tensor dropout(const Tensor& x, double probability, const RngAddress& address);

}  // namespace tarn::ad
