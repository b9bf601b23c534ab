#include "nn/attention/softmax_attention.h"

#include <cmath>

#include "autograd/softmax_attention.h"

namespace tarn::nn {

SoftmaxAttention::SoftmaxAttention(const Build& build, const AttentionOptions& options)
    : Attention(build, "full"),
      shape_(options.shape),
      scale_(options.scale != 0 ? options.scale
                                : 1 / std::sqrt(static_cast<double>(shape_.query_width))),
      dropout_(options.dropout) {}

Tensor SoftmaxAttention::forward(const ad::Heads& heads, const AttentionMask& mask,
                                 const Pass& pass) const {
  return ad::softmax_attention(heads, mask.lengths,
                               {.scale = scale_,
                                .causal = mask.causal,
                                .dropout = pass.training ? dropout_ : 0,
                                .address = address(pass, "dropout")});
}

AttentionState SoftmaxAttention::start(std::int64_t batch, std::int64_t capacity) const {
  const auto cache = [&](std::int64_t width) {
    return Tensor::zeros({batch, shape_.heads, capacity, width}, build().dtype, build().device);
  };
  return {{{"keys", cache(shape_.query_width)}, {"values", cache(shape_.value_width)}}, 0};
}

Tensor SoftmaxAttention::prefill(const ad::Heads& heads, AttentionState& state) const {
  check_prefill(state);
  state.position = heads.key.size(1);
  ad::softmax_attention_prefill(heads, state.tensor(0), state.tensor(1));
  return ad::softmax_attention(heads, {}, {.scale = scale_, .causal = true});
}

ad::StepRule SoftmaxAttention::step_rule() const {
  return {.kind = ad::StepRule::Kind::softmax, .scale = scale_};
}

}  // namespace tarn::nn
