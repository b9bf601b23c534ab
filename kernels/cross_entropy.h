// Cross-entropy over classes, with a weight for each row. logits: contiguous [rows, classes], f32
// or f64; targets i32 [rows]; weights [rows] of the logits' dtype; totals f64 [3]; loss a scalar of
// the logits' dtype.
#pragma once

#include "core/tensor.h"

namespace tarn::kernels {

// totals[0] = sum of weight * (logsumexp(logits) - logits[target]), totals[1] = sum of weight,
// totals[2] = sum of weight where the largest logit is the target's (the first, among equals).
// loss = totals[0] / totals[1].
struct CrossEntropyForwardArgs {
  Tensor logits, targets, weights, totals, loss;
};

// grad_logits = beta * grad_logits + grad_loss * weight / totals[1] * (softmax(logits) - onehot).
struct CrossEntropyBackwardArgs {
  Tensor logits, targets, weights, totals, grad_loss, grad_logits;
  double beta = 0;
};

}  // namespace tarn::kernels
