// The post-norm transformer encoder of the authors' library, and the same weights run as an RNN.
#pragma once

#include <string>
#include <vector>

#include "nn/attention/attention_layer.h"
#include "nn/encoder_state.h"
#include "nn/layer_norm.h"

namespace tarn::nn {

struct EncoderOptions {
  std::string attention = "causal-linear";
  std::string feature_map = "elu+1";
  std::int64_t layers = 4;
  std::int64_t heads = 8;
  std::int64_t head_dim = 32;  // of queries, keys and values; the width is heads * head_dim
  std::int64_t feed_forward = 1024;
  ad::Unary activation = ad::Unary::relu;
  double dropout = 0.1;            // behind attention and in and behind the feed-forward net
  double attention_dropout = 0.1;  // of softmax weights
  LshOptions lsh = {};

  std::int64_t width() const { return heads * head_dim; }
};

// a = norm1(x + dropout(attention(x))); norm2(a + dropout(linear2(dropout(act(linear1(a)))))).
class EncoderLayer : public Module {
 public:
  EncoderLayer(const Build& build, const EncoderOptions& options);
  Tensor forward(const Tensor& x, const AttentionMask& mask, const Pass& pass) const;
  AttentionState start(std::int64_t batch, std::int64_t capacity) const {
    return attention_.start(batch, capacity);
  }
  Tensor prefill(const Tensor& x, AttentionState& state) const;
  ad::StepLayer for_steps(DType storage) const;  // a copy as steps read it

 private:
  Tensor after_attention(const Tensor& x, const Tensor& attended, const Pass& pass) const;
  Tensor feed_forward(const Tensor& x, const Pass& pass) const;

  ad::Unary activation_;
  double dropout_;
  AttentionLayer& attention_;
  Linear& linear1_;
  Linear& linear2_;
  LayerNorm& norm1_;
  LayerNorm& norm2_;
};

// The layers in sequence and one more layer norm. Names: layers.{i}.*, norm.*.
class Encoder : public Module {
 public:
  Encoder(const Build& build, const EncoderOptions& options);
  Tensor forward(const Tensor& x, const AttentionMask& mask,
                 const Pass& pass) const;  // [N, L, width]

  // As an RNN (section 3.4): forward() of a sequence equals step() of its positions one by one. A
  // state steps with the weights that it is given, whatever happens to the parameters.
  StepWeights step_weights(DType storage) const;
  EncoderState start(std::int64_t batch, std::int64_t capacity, StepWeights weights) const;
  // A prefix [N, L, width] in one parallel pass; the state is then as after L steps, to rounding.
  Tensor prefill(const Tensor& x, EncoderState& state) const;
  // [N, width] to [N, width], or to [N, outputs] of the head among the weights. device_position:
  // where the device reads the state's position, i32 [1]; undefined: it is told.
  Tensor step(const Tensor& x, EncoderState& state, const Tensor& device_position = {}) const;

 private:
  std::vector<EncoderLayer*> layers_;
  LayerNorm& norm_;
};

}  // namespace tarn::nn
