// One position of an encoder, for running a trained model as an RNN (paper, eqs. 16 to 20): one
// kernel, since a step lasts some hundred microseconds, too short to start threads fifty times.
#pragma once

#include <span>

#include "core/tensor.h"
#include "kernels/unary.h"

namespace tarn::kernels {

// The weight of a linear layer, packed so that a step reads it once, from first to last: panels of
// kPanelColumns outputs; in a panel the inputs in order; for each input the weights of the panel's
// outputs side by side. Outputs past the last have weights of zero.
inline constexpr std::int64_t kPanelColumns = 32;

// [panels, in, kPanelColumns]; of bf16 [panels, pairs of inputs, kPanelColumns, 2].
Shape packed_shape(std::int64_t out, std::int64_t in, DType storage);

// panels = weight [out, in] (f32 or f64, contiguous), packed in its own type or, from f32, rounded
// to bf16.
struct PackWeightArgs {
  Tensor weight, panels;
};

struct PackedLinear {
  Tensor panels, bias;  // bias [out]
};

struct NormWeights {
  Tensor weight, bias;  // [width]
  double eps = 1e-5;
};

// The update of a layer's attention by one position; StepState is what it updates.
struct StepRule {
  enum class Kind : std::uint8_t { causal_linear, softmax } kind = Kind::causal_linear;
  Unary feature_map = Unary::elu_plus_one;  // linear
  double eps = 1e-6;                        // linear: added to the denominator
  double scale = 1;                         // softmax: of query . key
};

// One layer: a = norm1(x + out(attention(qkv(x)))), then norm2(a + linear2(activation(linear1(
// a)))). qkv gives queries, keys and values side by side, H (2 E + M) of them.
struct StepLayer {
  PackedLinear qkv, out, linear1, linear2;
  NormWeights norm1, norm2;
  StepRule rule;
  std::int64_t heads = 1, query_width = 0, value_width = 0;  // H, E, M
  Unary activation = Unary::relu;
};

// Contiguous. Linear: sum [N, H, E, M] and key_sum [N, H, E]. Softmax: keys [N, H, capacity, E] and
// values [N, H, capacity, M].
struct StepState {
  Tensor first, second;
};

// The layers, which have one shape and kind, then norm, then head if there is one. The state is
// updated. Tensors but panels are f32 or f64 and alike, and contiguous. Sequences do not see each
// other, and the bits of one do not depend on how many there are.
struct EncoderStepArgs {
  Tensor x;  // [N, width]
  std::span<const StepLayer> layers;
  std::span<const StepState> states;  // one a layer
  NormWeights norm;
  PackedLinear head;          // its panels undefined: none
  std::int64_t position = 0;  // softmax: where in the cache this one goes
  Tensor device_position;     // i32 [1]: read in place of it; undefined: none
  Tensor out;                 // [N, width], or [N, outputs] of the head
};

}  // namespace tarn::kernels
