#pragma once

#include "autograd/tape.h"

namespace tarn::ad {

struct CrossEntropy {
  Tensor loss;  // one element: the weighted mean of -log softmax(logits)[target], in nats
  Tensor
      totals;  // f64 [3]: sum of weighted losses, of weights, of weights where the guess is right
};

// logits [..., classes]; targets i32 [...], each in [0, classes); weights [...] of the logits'
// dtype, not all zero.
CrossEntropy cross_entropy(const Tensor& logits, const Tensor& targets, const Tensor& weights);

}  // namespace tarn::ad
