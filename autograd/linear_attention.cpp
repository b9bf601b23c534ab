#include "autograd/linear_attention.h"

#include "autograd/attention_node.h"
#include "kernels/linear_attention.h"
#include "kernels/table.h"

namespace tarn::ad {

using kernels::Table;

Tensor linear_attention(const Heads& heads, const Tensor& lengths, double eps) {
  check_heads("linear_attention", heads, lengths);
  const auto& [query, key, value, qkv] = heads;
  const std::int64_t batch = query.size(0), count = query.size(2), width = query.size(3);
  Tensor out = attention_output(query, value);
  const Tensor inverse_sum = number_per_query(query);
  const Tensor sum =
      Tensor::empty({batch, count, width, value.size(3)}, query.dtype(), query.device());
  const Tensor key_sum = Tensor::empty({batch, count, width}, query.dtype(), query.device());
  kernels::run(&Table::linear_attention_forward, query.device(),
               {.query = query,
                .key = key,
                .value = value,
                .lengths = lengths,
                .eps = eps,
                .out = out,
                .inverse_sum = inverse_sum,
                .sum = sum,
                .key_sum = key_sum});
  using Args = kernels::LinearAttentionBackwardArgs;
  return recorded_attention("linear_attention", out, heads, &Table::linear_attention_backward,
                            Args{.query = query,
                                 .key = key,
                                 .value = value,
                                 .lengths = lengths,
                                 .out = out,
                                 .inverse_sum = inverse_sum,
                                 .sum = sum,
                                 .key_sum = key_sum});
}

}  // namespace tarn::ad
