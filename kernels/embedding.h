// Rows of a table, picked by tokens: a learned vector for each token of a vocabulary.
#pragma once

#include "core/tensor.h"

namespace tarn::kernels {

// out[..., :] = weight[tokens[...], :]. tokens i32, contiguous, each in [0, vocabulary); weight
// f32 or f64 [vocabulary, width]; out [..., width] with any row stride.
struct EmbeddingForwardArgs {
  Tensor tokens, weight, out;
};

// grad_weight = beta * grad_weight + sums of the rows of grad_out that each token reads. The order
// of each sum is the order of the tokens.
struct EmbeddingBackwardArgs {
  Tensor tokens, grad_out, grad_weight;
  double beta = 0;
};

}  // namespace tarn::kernels
