// Views that change strides, and joining tensors. Tensor::view (a reshape) needs no op of its own:
// it keeps the tensor's place on the tape. Tensor::slice and Tensor::transpose lose it, and an op
// that is given such a view of a recorded tensor refuses it: these ops are what to write instead.
// Any dtype where nothing is recorded, f32 or f64 where it is. Throws ShapeError or DTypeError.
#pragma once

#include "autograd/tape.h"

namespace tarn::ad {

// No copies forward; the gradient is written through the same view of the input's.
Tensor transpose(const Tensor& x, int a, int b);
Tensor slice(const Tensor& x, int dim, std::int64_t first, std::int64_t count);

// x in row-major order: x itself if it is, else a copy.
Tensor contiguous(const Tensor& x);

// [..., A] and [..., B] joined to [..., A + B].
Tensor concat(const Tensor& a, const Tensor& b);

// to = from + beta to, of equal shapes and any strides. On no tape: what backward passes do.
void copy_into(const Tensor& from, const Tensor& to, double beta);

}  // namespace tarn::ad
