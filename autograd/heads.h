// The queries, keys and values of attention, split into heads: query and key [N, L, H, E] and value
// [N, L, H, M], f32 or f64 and alike, with contiguous rows and any outer strides. E and M are the
// widths of a head's queries and values; keys and values may have another length than queries.
#pragma once

#include <cstdint>

#include "core/tensor.h"

namespace tarn::ad {

struct Heads {
  Tensor query, key, value;
  // Where the three are windows of one tensor [N, L, H (2 E + M)], that tensor: it stands on the
  // tape in their place, and its gradient is written in one piece.
  Tensor qkv;

  // The windows of such a tensor, which must be contiguous; ShapeError where it does not fit.
  static Heads of(const Tensor& qkv, std::int64_t heads, std::int64_t query_width,
                  std::int64_t value_width);
};

}  // namespace tarn::ad
