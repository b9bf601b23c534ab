#include "autograd/causal_linear_attention.h"

#include "autograd/attention_node.h"
#include "kernels/causal_linear_attention.h"
#include "kernels/linear_attention.h"
#include "kernels/table.h"

namespace tarn::ad {

using kernels::Table;

Tensor causal_linear_attention(const Heads& heads, const Tensor& lengths, double eps) {
  check_heads("causal_linear_attention", heads, lengths);
  const auto& [query, key, value, qkv] = heads;
  TARN_CHECK_SHAPE(query.size(1) == key.size(1), "causal_linear_attention: query ", query.shape(),
                   " and key ", key.shape(), " must have one length");
  Tensor out = attention_output(query, value);
  const Tensor inverse_sum = number_per_query(query);
  kernels::run(&Table::causal_linear_attention_forward, query.device(),
               {.query = query,
                .key = key,
                .value = value,
                .lengths = lengths,
                .eps = eps,
                .out = out,
                .inverse_sum = inverse_sum});
  using Args = kernels::CausalLinearAttentionBackwardArgs;
  return recorded_attention("causal_linear_attention", out, heads,
                            &Table::causal_linear_attention_backward,
                            Args{.query = query,
                                 .key = key,
                                 .value = value,
                                 .lengths = lengths,
                                 .out = out,
                                 .inverse_sum = inverse_sum});
}

void causal_linear_attention_prefill(const Heads& heads, const Tensor& sum, const Tensor& key_sum) {
  const Tensor &key = heads.key, &value = heads.value;
  check_prefill("causal_linear_attention_prefill", heads, {"sum", sum}, {"key_sum", key_sum});
  TARN_CHECK_SHAPE(sum.shape() == Shape({key.size(0), key.size(2), key.size(3), value.size(3)}) &&
                       key_sum.shape() == sum.shape().without_last(),
                   "causal_linear_attention_prefill: the state ", sum.shape(), " and ",
                   key_sum.shape(), " does not belong to key ", key.shape(), " and value ",
                   value.shape());
  const auto none = [&](const Shape& shape) {
    return Tensor::empty(shape, key.dtype(), key.device());
  };
  // Where the mask is not causal the sums are over all positions: the state, without any query.
  kernels::run(&Table::linear_attention_forward, key.device(),
               {.query = none({key.size(0), 0, key.size(2), key.size(3)}),
                .key = key,
                .value = value,
                .out = none({key.size(0), 0, key.size(2), value.size(3)}),
                .inverse_sum = none({key.size(0), key.size(2), 0}),
                .sum = sum,
                .key_sum = key_sum});
}

}  // namespace tarn::ad
