// Attention by locality-sensitive hashing (Reformer, as the paper's baseline has it) as an op over
// split heads; kernels/lsh_attention.h has the formulas.
#pragma once

#include "autograd/tape.h"
#include "kernels/lsh_attention.h"

namespace tarn::ad {

// The order i32 [N, H, R, L] that R rounds of random planes [R, E, B] put the positions of query
// [N, L, H, E] in. Never recorded: it is constant wherever it has a gradient.
Tensor lsh_order(const Tensor& query, const Tensor& planes, const Tensor& lengths);

using LshAttentionOptions = kernels::LshAttentionOptions;

// query [N, L, H, E], the keys being the queries at length 1, and value [N, L, H, M], both with any
// outer strides; returns [N, L, H, M]. `lengths` as in attention.h. Saves the inputs and the order.
Tensor lsh_attention(const Tensor& query, const Tensor& value, const Tensor& lengths,
                     const Tensor& order, const LshAttentionOptions& options);

}  // namespace tarn::ad
