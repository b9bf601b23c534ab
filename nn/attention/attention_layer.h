// An attention layer: projections to queries, keys and values as one product, an attention over the
// heads, and a projection back. Parameters: {query,key,value,out}_projection.{weight,bias}.
#pragma once

#include "nn/attention/attention.h"
#include "nn/linear.h"

namespace tarn::nn {

class AttentionLayer : public Module {
 public:
  AttentionLayer(const Build& build, std::string_view kind, std::int64_t width,
                 const AttentionOptions& options);

  Tensor forward(const Tensor& x, const AttentionMask& mask,
                 const Pass& pass) const;  // [N, L, width]

  AttentionState start(std::int64_t batch, std::int64_t capacity) const {
    return inner_.start(batch, capacity);
  }
  Tensor prefill(const Tensor& x, AttentionState& state) const;  // [N, L, width]
  // Its part of a layer as steps read it, the weights as they are now in `storage`.
  void fill_step(ad::StepLayer& layer, DType storage) const;

 private:
  Linear& projection(const char* name, std::int64_t first, std::int64_t head_width);
  // What the attention reads of x [N, L, width], the feature map applied.
  ad::Heads heads_of(const Tensor& x) const;
  // Queries, keys and values side by side, the feature map applied: [..., qkv_width].
  Tensor project(const Tensor& x) const;
  // The projections around an attention; inner(heads).
  template <class Inner>
  Tensor around(const Tensor& x, const Inner& inner) const;

  HeadShape shape_;
  Attention& inner_;
  Tensor qkv_weight_, qkv_bias_;  // the three projections' parameters are windows of these
  Linear& query_projection_;
  Linear& key_projection_;
  Linear& value_projection_;
  Linear& out_projection_;
};

}  // namespace tarn::nn
