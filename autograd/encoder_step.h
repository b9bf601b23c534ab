// One position of a whole encoder (kernels/encoder_step.h), for running a trained model as an RNN;
// never recorded.
#pragma once

#include "core/tensor.h"
#include "kernels/encoder_step.h"

namespace tarn::ad {

using kernels::NormWeights;
using kernels::PackedLinear;
using kernels::StepLayer;
using kernels::StepRule;
using kernels::StepState;

// A linear layer's weight [out, in] and bias [out], copied and laid out for steps. storage: the
// weight's own type, or bf16 for a weight in f32.
PackedLinear pack_linear(const Tensor& weight, const Tensor& bias, DType storage);

// What comes in to one step. The tensors that layers and state view have to agree; position is
// where softmax's caches have room for it.
struct EncoderStep {
  Tensor x;  // [N, width]
  std::span<const StepLayer> layers;
  std::span<const StepState> states;
  const NormWeights& norm;
  const PackedLinear& head;  // its panels undefined: none
  std::int64_t position = 0;
  // i32 [1] on x's device: read there in place of `position`, which it should be.
  Tensor device_position = {};
};

// Moves the state on by one position; returns [N, width], or [N, outputs] of the head.
Tensor encoder_step(const EncoderStep& step);

}  // namespace tarn::ad
