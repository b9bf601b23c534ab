#pragma once

#include "autograd/tape.h"
#include "core/rng.h"

namespace tarn::ad {

// x where kept, over 1 - probability; 0 elsewhere. No mask is stored: the backward draws it again
// from the address.
Tensor dropout(const Tensor& x, double probability, const RngAddress& address);

}  // namespace tarn::ad
