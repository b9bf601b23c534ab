// A tensor of f32 or f64 in the other type, for models that are checked in f64.
#pragma once

#include "core/tensor.h"

namespace tarn::train {

// The elements of a contiguous tensor of f32 or f64 on the CPU, each rounded to the nearest of the
// type: the tensor itself if it is of that type. Throws DTypeError for other types.
Tensor in_float_type(const Tensor& tensor, DType dtype);

}  // namespace tarn::train
