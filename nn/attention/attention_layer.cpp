#include "nn/attention/attention_layer.h"

namespace tarn::nn {

AttentionLayer::AttentionLayer(const Build& build, std::string_view kind, std::int64_t width,
                               const AttentionOptions& options)
    : Module(build),
      shape_(options.shape),
      inner_(adopt(make_attention(kind, build.child("inner_attention"), options))),
      query_projection_(
          child<Linear>("query_projection", width, shape_.heads * shape_.query_width)),
      key_projection_(child<Linear>("key_projection", width, shape_.heads * shape_.query_width)),
      value_projection_(
          child<Linear>("value_projection", width, shape_.heads * shape_.value_width)),
      out_projection_(child<Linear>("out_projection", shape_.heads * shape_.value_width, width)) {}

template <class Inner>
Tensor AttentionLayer::project_around(const Tensor& x, const Inner& inner) const {
  const std::int64_t batch = x.size(0), length = x.size(1);
  const auto split = [&](const Tensor& heads, std::int64_t width) {
    return heads.view({batch, length, shape_.heads, width});
  };
  const Tensor query = split(query_projection_.forward(x), shape_.query_width);
  const Tensor key = split(key_projection_.forward(x), shape_.query_width);
  const Tensor value = split(value_projection_.forward(x), shape_.value_width);
  const Tensor out = inner(query, key, value);
  return out_projection_.forward(out.view({batch, length, shape_.heads * shape_.value_width}));
}

Tensor AttentionLayer::forward(const Tensor& x, const AttentionMask& mask, const Pass& pass) const {
  return project_around(x, [&](const Tensor& query, const Tensor& key, const Tensor& value) {
    return inner_.forward(query, key, value, mask, pass);
  });
}

Tensor AttentionLayer::absorb(const Tensor& x, AttentionState& state) const {
  return project_around(x, [&](const Tensor& query, const Tensor& key, const Tensor& value) {
    return inner_.absorb(query, key, value, state);
  });
}

void AttentionLayer::fill_step(ad::StepLayer& layer, DType storage) const {
  layer.query = query_projection_.for_steps(storage);
  layer.key = key_projection_.for_steps(storage);
  layer.value = value_projection_.for_steps(storage);
  layer.out = out_projection_.for_steps(storage);
  layer.rule = inner_.step_rule();
  layer.heads = shape_.heads;
}

}  // namespace tarn::nn
