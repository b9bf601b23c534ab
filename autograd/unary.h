// An activation or a feature map as an op of its own, for models that apply one where no product
// goes before: behind a linear layer it is part of that op (autograd/linear.h). Formulas and
// gradient: kernels/unary.h. Throws ShapeError or DTypeError.
#pragma once

#include "autograd/tape.h"
#include "kernels/unary.h"

namespace tarn::ad {

using kernels::Unary;

// f(x), element by element. x: f32 or f64, with contiguous rows; for gelu, whose gradient reads x,
// contiguous as a whole.
Tensor unary(const Tensor& x, Unary op);

}  // namespace tarn::ad
