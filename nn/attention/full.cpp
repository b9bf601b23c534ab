#include "nn/attention/full.h"

#include <cmath>

namespace tarn::nn {

FullAttention::FullAttention(const Build& build, const AttentionOptions& options)
    : Attention(build, "full"),
      shape_(options.shape),
      scale_(options.scale != 0 ? options.scale
                                : 1 / std::sqrt(static_cast<double>(shape_.query_width))),
      dropout_(options.dropout) {}

Tensor FullAttention::forward(const ad::Heads& heads, const AttentionMask& mask,
                              const Pass& pass) const {
  return ad::softmax_attention(heads, mask.lengths,
                               {.scale = scale_,
                                .causal = mask.causal,
                                .dropout = pass.training ? dropout_ : 0,
                                .address = address(pass, "dropout")});
}

AttentionState FullAttention::start(std::int64_t batch, std::int64_t capacity) const {
  const auto cache = [&](std::int64_t width) {
    return Tensor::zeros({batch, capacity, shape_.heads, width}, build().dtype, build().device);
  };
  return {{cache(shape_.query_width), cache(shape_.value_width)}, 0};
}

Tensor FullAttention::step(const Tensor& query, const Tensor& key, const Tensor& value,
                           AttentionState& state) const {
  return ad::softmax_step(query, key, value, state.tensors.at(0), state.tensors.at(1),
                          state.position++, scale_);
}

}  // namespace tarn::nn
