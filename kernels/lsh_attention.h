// The kernels of attention by locality-sensitive hashing (Kitaev et al., "Reformer", 2020), the
// paper's baseline, as its authors wrote it: queries are their own keys, a round sorts positions
// by the hash of their query, and a position sees what lies in its chunk of that order or in the
// chunk before. query [N, L, H, E] and value [N, L, H, M] have the last dimension contiguous and
// any outer strides. `lengths` i32 [N], undefined for none: positions at or past a sequence's
// length are seen by nobody; outputs there are finite. Gradients are beta * old + new. The bits do
// not depend on the number of threads.
#pragma once

#include "core/rng.h"
#include "core/tensor.h"

namespace tarn::kernels {

// The hash of a position is the largest of the 2 B numbers [query . plane, -query . plane], the
// first of equals; order lists the positions of each round by (hash, position), those past the
// length behind all others. A projection's bits depend on its query and its plane alone, so the
// padding of a sequence does not move it. A query of NaN hashes to 0.
struct LshOrderArgs {
  Tensor query;
  Tensor planes;  // [R, E, B], contiguous: the normals of a round's B planes, for all heads
  Tensor lengths;
  Tensor buckets;  // i32 [N, H, R, L]: the hash, 2 B past the length
  Tensor order;    // i32 [N, H, R, L]
};

struct LshAttentionOptions {
  std::int64_t chunk = 32;
  double scale = 1;
  bool causal = false;  // position l sees s <= l only
  bool masked = true;   // a position sees itself only where it may see nothing else
  double dropout = 0;   // of the weights
  RngAddress address;
};

// out[l] = mean over rounds of sum over s of dropout(softmax_s(scale * query[l] . key[s])) value[s]
// with key[s] = query[s] / |query[s]|, or 0 for a query of 0, whose key then has no gradient. s
// goes over the chunk of l in that round's order and the chunk before, first to last; the last
// chunk may be short, and the first has none before it. Rows that see nothing are 0. No [L, L]
// matrix is stored. The weight of the query in slot i of an order and of the j-th position that it
// looks at draws element ((((n H + h) R + r) L + i) 2 chunk + j) of the stream.
struct LshAttentionForwardArgs {
  Tensor query, value;
  Tensor lengths;
  Tensor order;  // i32 [N, H, R, L], contiguous: in each row every position once
  LshAttentionOptions options;
  Tensor out;  // [N, L, H, M]
};

// Both gradients are wanted or none; the order has none. The weights are computed again.
struct LshAttentionBackwardArgs {
  Tensor query, value;
  Tensor lengths;
  Tensor order;
  LshAttentionOptions options;
  Tensor grad_out;
  Tensor grad_query, grad_value;
  double beta_query = 0, beta_value = 0;
};

}  // namespace tarn::kernels
