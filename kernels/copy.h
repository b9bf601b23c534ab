// Copies and fills: what moves elements and computes next to nothing.
#pragma once

#include "core/tensor.h"

namespace tarn::kernels {

// to = beta * to + from, element by element. Same shape and dtype, any strides; strides of 0 in
// `from` repeat elements. With beta 0 any dtype; otherwise f32 or f64. They must not overlap.
struct CopyArgs {
  Tensor from, to;
  double beta = 0;
};

// Every element of to = value. to: contiguous, f32 or f64.
struct FillArgs {
  Tensor to;
  double value = 0;
};

}  // namespace tarn::kernels
