#include "autograd/heads.h"

#include "autograd/check.h"

namespace tarn::ad {

Heads Heads::of(const Tensor& qkv, std::int64_t heads, std::int64_t query_width,
                std::int64_t value_width) {
  const Check check("attention");
  check.floats({{"qkv", qkv}});
  TARN_CHECK_SHAPE(heads > 0 && query_width > 0 && value_width > 0, "attention: ", heads,
                   " heads of widths ", query_width, " and ", value_width,
                   "; each must be 1 or more");
  const std::int64_t q = heads * query_width, v = heads * value_width;
  TARN_CHECK_SHAPE(qkv.rank() == 3 && qkv.size(2) == 2 * q + v && qkv.is_contiguous(),
                   "attention: ", qkv.shape(), " must be [N, L, ", 2 * q + v,
                   "] and contiguous: the queries, keys and values of ", heads, " heads");
  const auto window = [&](std::int64_t first, std::int64_t width) {
    return qkv.slice(2, first, heads * width).view({qkv.size(0), qkv.size(1), heads, width});
  };
  return {window(0, query_width), window(q, query_width), window(2 * q, value_width), qkv};
}

}  // namespace tarn::ad
