// Embedding as an op: rows of a table, picked by tokens. Gradient: kernels/embedding.h. Throws
// ShapeError, DTypeError, DeviceError or IndexError (a token) that names the argument.
#pragma once

#include "autograd/tape.h"

namespace tarn::ad {

// weight[tokens]: tokens i32 [...], each in [0, vocabulary); weight f32 or f64 [vocabulary, width];
// returns [..., width]. All contiguous.
Tensor embedding(const Tensor& tokens, const Tensor& weight);

}  // namespace tarn::ad
