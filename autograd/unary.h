#pragma once

#include "autograd/tape.h"
#include "kernels/unary.h"

namespace tarn::ad {

using kernels::Unary;

// f(x), element by element: an activation or a feature map.
Tensor unary(const Tensor& x, Unary op);

}  // namespace tarn::ad
