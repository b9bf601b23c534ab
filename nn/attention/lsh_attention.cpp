#include "nn/attention/lsh_attention.h"

#include <cmath>

#include "autograd/lsh_attention.h"

namespace tarn::nn {

LshAttention::LshAttention(const Build& build, const AttentionOptions& options)
    : Attention(build, "lsh"),
      options_(options.lsh),
      scale_(options.scale != 0 ? options.scale
                                : 1 / std::sqrt(static_cast<double>(options.shape.query_width))),
      dropout_(options.dropout) {
  TARN_CHECK_AS(ConfigError, options_.rounds > 0 && options_.bits > 0 && options_.chunk > 0,
                "attention \"lsh\": rounds ", options_.rounds, ", bits ", options_.bits,
                " and chunk ", options_.chunk, " must be at least 1");
}

Tensor LshAttention::forward(const ad::Heads& heads, const AttentionMask& mask,
                             const Pass& pass) const {
  const auto& [query, key, value, qkv] = heads;
  const Tensor planes =
      initialise(Init::normal(1), {options_.rounds, query.size(3), options_.bits},
                 address(pass.training ? pass : Pass{}, "planes"), query.dtype(), query.device());
  const Tensor order = ad::lsh_order(query, planes, mask.lengths);
  return ad::lsh_attention(query, value, mask.lengths, order,
                           {.chunk = options_.chunk,
                            .scale = scale_,
                            .causal = mask.causal,
                            .masked = options_.masked,
                            .dropout = pass.training ? dropout_ : 0,
                            .address = address(pass, "dropout")});
}

}  // namespace tarn::nn
