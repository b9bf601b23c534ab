// A bidirectional LSTM layer as an op. Equations and gradient: kernels/lstm.h. Tensors are f32 or
// f64 and alike, and contiguous. Throws ShapeError, DTypeError, DeviceError or IndexError (a
// length) that names the argument.
#pragma once

#include "autograd/tape.h"

namespace tarn::ad {

// One direction of a layer, as torch.nn.LSTM has it: input [4 H, in] (its weight_ih), recurrent
// [4 H, H] (weight_hh) and the two biases [4 H], each with the gates i, f, g, o one below the
// other.
struct LstmWeights {
  Tensor input, recurrent, input_bias, recurrent_bias;
};

// x [N, T, in] to [N, T, 2 H], the forward direction's
// output beside the reverse one's. `lengths`: i32 [N], 0 to T, or undefined for T; at frames past a
// sequence's length the output is zero and its gradient has no effect. Saves the gates, the cells
// and the output.
Tensor bi_lstm(const Tensor& x, const Tensor& lengths, const LstmWeights& forward,
               const LstmWeights& reverse);

}  // namespace tarn::ad
