#include "nn/attention/attention_layer.h"

#include "autograd/qkv_linear.h"

namespace tarn::nn {

AttentionLayer::AttentionLayer(const Build& build, std::string_view kind, std::int64_t width,
                               const AttentionOptions& options)
    : Module(build),
      shape_(options.shape),
      inner_(adopt(make_attention(kind, build.child("inner_attention"), options))),
      qkv_weight_(Tensor::empty({shape_.qkv_width(), width}, build.dtype, build.device)),
      qkv_bias_(Tensor::empty({shape_.qkv_width()}, build.dtype, build.device)),
      query_projection_(projection("query_projection", 0, shape_.query_width)),
      key_projection_(
          projection("key_projection", shape_.heads * shape_.query_width, shape_.query_width)),
      value_projection_(projection("value_projection", 2 * shape_.heads * shape_.query_width,
                                   shape_.value_width)),
      out_projection_(child<Linear>("out_projection", shape_.heads * shape_.value_width, width)) {}

Linear& AttentionLayer::projection(const char* name, std::int64_t first, std::int64_t head_width) {
  const std::int64_t count = shape_.heads * head_width;
  return child<Linear>(name, qkv_weight_.slice(0, first, count), qkv_bias_.slice(0, first, count));
}

Tensor AttentionLayer::project(const Tensor& x) const {
  const Linear &q = query_projection_, &k = key_projection_, &v = value_projection_;
  return ad::qkv_linear(x,
                        {.weight = qkv_weight_,
                         .bias = qkv_bias_,
                         .weights = {q.weight(), k.weight(), v.weight()},
                         .biases = {q.bias(), k.bias(), v.bias()}},
                        inner_.feature_map(), build().compute);
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

template <class Inner>
Tensor AttentionLayer::around(const Tensor& x, const Inner& inner) const {
  const Tensor out = inner(heads_of(x));
  return out_projection_.forward(
      out.view({x.size(0), x.size(1), shape_.heads * shape_.value_width}));
}

Tensor AttentionLayer::forward(const Tensor& x, const AttentionMask& mask, const Pass& pass) const {
  return around(x, [&](const ad::Heads& heads) { return inner_.forward(heads, mask, pass); });
}

Tensor AttentionLayer::prefill(const Tensor& x, AttentionState& state) const {
  return around(x, [&](const ad::Heads& heads) { return inner_.prefill(heads, state); });
}

void AttentionLayer::fill_step(ad::StepLayer& layer, DType storage) const {
  layer.qkv = ad::pack_linear(qkv_weight_, qkv_bias_, storage);
  layer.out = out_projection_.for_steps(storage);
  layer.rule = inner_.step_rule();
  layer.heads = shape_.heads;
  layer.query_width = shape_.query_width;
  layer.value_width = shape_.value_width;
}

}  // namespace tarn::nn
