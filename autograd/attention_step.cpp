#include "autograd/attention.h"
#include "kernels/attention.h"
#include "kernels/copy.h"
#include "kernels/table.h"

namespace tarn::ad {
namespace {

using kernels::Table;

void check_step(const char* op, const Tensor& query, const Tensor& key, const Tensor& value) {
  TARN_CHECK_SHAPE(query.rank() == 3 && query.shape() == key.shape() && value.rank() == 3 &&
                       value.size(0) == query.size(0) && value.size(1) == query.size(1),
                   op, ": query ", query.shape(), ", key ", key.shape(), " and value ",
                   value.shape(), " must be [N, H, E], [N, H, E] and [N, H, M]");
}

}  // namespace

Tensor causal_linear_step(const Tensor& query, const Tensor& key, const Tensor& value,
                          const Tensor& sum, const Tensor& key_sum, double eps) {
  check_step("causal_linear_step", query, key, value);
  TARN_CHECK_SHAPE(
      sum.shape() == query.shape().with(value.size(2)) && key_sum.shape() == query.shape(),
      "causal_linear_step: the state ", sum.shape(), " and ", key_sum.shape(),
      " does not belong to query ", query.shape(), " and value ", value.shape());
  Tensor out = Tensor::empty(value.shape(), value.dtype(), value.device());
  kernels::run(&Table::causal_linear_step, query.device(),
               {.query = query,
                .key = key,
                .value = value,
                .sum = sum,
                .key_sum = key_sum,
                .eps = eps,
                .out = out});
  return out;
}

Tensor softmax_step(const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& keys,
                    const Tensor& values, std::int64_t position, double scale) {
  check_step("softmax_step", query, key, value);
  TARN_CHECK_SHAPE(position < keys.size(1), "softmax_step: position ", position,
                   " is past the cache's ", keys.size(1), " positions");
  kernels::run(&Table::copy, query.device(), {.from = key, .to = keys.select(1, position)});
  kernels::run(&Table::copy, query.device(), {.from = value, .to = values.select(1, position)});
  const Shape one{query.size(0), 1, query.size(1), query.size(2)};
  return softmax_attention(
             {query.view(one), keys.slice(1, 0, position + 1), values.slice(1, 0, position + 1)},
             {}, {.scale = scale})
      .view(value.shape());
}

}  // namespace tarn::ad
