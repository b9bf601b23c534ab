// Cross-entropy over classes as an op: the loss of the copy task and of images as categories.
// Formula and gradient: kernels/cross_entropy.h. Throws ShapeError, DTypeError, DeviceError or
// IndexError (a target) that names the argument.
#pragma once

#include "autograd/tape.h"

namespace tarn::ad {

struct CrossEntropy {
  Tensor loss;    // one element: the weighted mean of -log softmax(logits)[target], in nats
  Tensor totals;  // f64 [3]: the sums of the weighted losses, of the weights, and of the weights
                  // where the largest logit is the target's
};

// logits f32 or f64 [..., classes]; targets i32 [...], each in [0, classes); weights [...] of the
// logits' dtype, not all zero.
CrossEntropy cross_entropy(const Tensor& logits, const Tensor& targets, const Tensor& weights);

}  // namespace tarn::ad
