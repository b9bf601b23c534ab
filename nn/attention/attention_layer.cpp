#include "nn/attention/attention_layer.h"

namespace tarn::nn {

AttentionLayer::AttentionLayer(const Build& build, std::string_view kind, std::int64_t width,
                               const AttentionOptions& options)
    : Module(build),
      shape_(options.shape),
      inner_(adopt(make_attention(kind, build.child("inner_attention"), options))),
      joint_weight_(Tensor::empty({shape_.joint_width(), width}, build.dtype, build.device)),
      joint_bias_(Tensor::empty({shape_.joint_width()}, build.dtype, build.device)),
      query_projection_(projection("query_projection", 0, shape_.query_width)),
      key_projection_(
          projection("key_projection", shape_.heads * shape_.query_width, shape_.query_width)),
      value_projection_(projection("value_projection", 2 * shape_.heads * shape_.query_width,
                                   shape_.value_width)),
      out_projection_(child<Linear>("out_projection", shape_.heads * shape_.value_width, width)) {}

Linear& AttentionLayer::projection(const char* name, std::int64_t first, std::int64_t head_width) {
  const std::int64_t count = shape_.heads * head_width;
  return child<Linear>(name, joint_weight_.slice(0, first, count),
                       joint_bias_.slice(0, first, count));
}

Tensor AttentionLayer::project(const Tensor& x) const {
  const Linear &q = query_projection_, &k = key_projection_, &v = value_projection_;
  return ad::joint_linear(x,
                          {.weight = joint_weight_,
                           .bias = joint_bias_,
                           .weights = {q.weight(), k.weight(), v.weight()},
                           .biases = {q.bias(), k.bias(), v.bias()}},
                          inner_.feature_map());
}

ad::Heads AttentionLayer::heads_of(const Tensor& x) const {
  if (inner_.reads_keys()) {
    return ad::Heads::of(project(x), shape_.heads, shape_.query_width, shape_.value_width);
  }
  // As in the authors' layer: the key projection gets no gradient, so that nothing changes it.
  const auto split = [&](const Tensor& joined, std::int64_t width) {
    return joined.view({x.size(0), x.size(1), shape_.heads, width});
  };
  const ad::LinearEpilogue epilogue{.activation = inner_.feature_map()};
  return {split(query_projection_.forward(x, epilogue), shape_.query_width),
          {},
          split(value_projection_.forward(x), shape_.value_width),
          {}};
}

Tensor AttentionLayer::forward(const Tensor& x, const AttentionMask& mask, const Pass& pass) const {
  const Tensor out = inner_.forward(heads_of(x), mask, pass);
  return out_projection_.forward(
      out.view({x.size(0), x.size(1), shape_.heads * shape_.value_width}));
}

Tensor AttentionLayer::step(const Tensor& x, AttentionState& state) const {
  const std::int64_t batch = x.size(0);
  const ad::Heads heads = ad::Heads::of(project(x).view({batch, 1, shape_.joint_width()}),
                                        shape_.heads, shape_.query_width, shape_.value_width);
  const auto position = [](const Tensor& window) { return window.select(1, 0); };
  const Tensor out =
      inner_.step(position(heads.query), position(heads.key), position(heads.value), state);
  return out_projection_.forward(out.view({batch, shape_.heads * shape_.value_width}));
}

}  // namespace tarn::nn
