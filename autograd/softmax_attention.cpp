#include "autograd/softmax_attention.h"

#include "autograd/attention_node.h"
#include "kernels/copy.h"
#include "kernels/softmax_attention.h"
#include "kernels/table.h"

namespace tarn::ad {

using kernels::Table;

Tensor softmax_attention(const Heads& heads, const Tensor& lengths,
                         const SoftmaxAttentionOptions& options) {
  check_heads("softmax_attention", heads, lengths);
  Check("softmax_attention").probability(options.dropout);
  const auto& [query, key, value, qkv] = heads;
  Tensor out = attention_output(query, value);
  const Tensor log_sum_exp = number_per_query(query);
  kernels::run(&Table::softmax_attention_forward, query.device(),
               {.query = query,
                .key = key,
                .value = value,
                .lengths = lengths,
                .scale = options.scale,
                .causal = options.causal,
                .dropout = options.dropout,
                .address = options.address,
                .out = out,
                .log_sum_exp = log_sum_exp});
  using Args = kernels::SoftmaxAttentionBackwardArgs;
  return recorded_attention("softmax_attention", out, heads, &Table::softmax_attention_backward,
                            Args{.query = query,
                                 .key = key,
                                 .value = value,
                                 .lengths = lengths,
                                 .scale = options.scale,
                                 .causal = options.causal,
                                 .dropout = options.dropout,
                                 .address = options.address,
                                 .out = out,
                                 .log_sum_exp = log_sum_exp});
}

void softmax_attention_prefill(const Heads& heads, const Tensor& keys, const Tensor& values) {
  const Tensor &key = heads.key, &value = heads.value;
  check_prefill("softmax_attention_prefill", heads, {"keys", keys}, {"values", values});
  Check("softmax_attention_prefill").rank({"keys", keys}, 4, "[N, H, capacity, E]");
  Check("softmax_attention_prefill").rank({"values", values}, 4, "[N, H, capacity, M]");
  TARN_CHECK_SHAPE(key.size(1) <= keys.size(2), "softmax_attention_prefill: ", key.size(1),
                   " positions are more than the cache's ", keys.size(2));
  const auto write = [&](const Tensor& from, const Tensor& cache) {
    const Tensor to = cache.slice(2, 0, from.size(1)).transpose(1, 2);
    TARN_CHECK_SHAPE(to.shape() == from.shape(), "softmax_attention_prefill: the cache ",
                     cache.shape(), " does not belong to heads ", from.shape());
    kernels::run(&Table::copy, from.device(), {.from = from, .to = to});
  };
  write(key, keys);
  write(value, values);
}

}  // namespace tarn::ad
