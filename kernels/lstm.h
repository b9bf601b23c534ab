// The recurrence of a bidirectional LSTM layer, as torch.nn.LSTM defines it. Index 0 of a leading
// dimension of 2 is the direction that reads forward in time, index 1 the reverse one.
#pragma once

#include "core/tensor.h"

namespace tarn::kernels {

// At each frame, from the last frame's out and cell (zeros before the first):
//   i, f, o = sigmoid(products of the input and of out), g = tanh(likewise),
//   cell = f * cell + i * g, out = o * tanh(cell).
// A sequence has its first `lengths` frames, and the reverse direction starts at the last of them.
// out is zero at the others. On the CPU the bits of a sequence depend neither on the number of
// threads nor on the sequences beside it; on CUDA devices, where cuBLAS chooses how a product is
// summed by its size, they may depend on how many sequences there are.
struct LstmForwardArgs {
  Tensor gates;    // [2, N, T, 4 H]: x weight_ih^T + biases; becomes i, f, g, o
  Tensor weight;   // [4 H, H]: weight_hh of the forward direction
  Tensor reverse;  // and of the reverse one
  Tensor lengths;  // i32 [N], 0 to T; undefined: T
  Tensor cells;    // [2, N, T, H], written for the backward unless undefined
  Tensor out;      // [N, T, 2 H]: forward, then reverse
};

// Back through time. Gradients of the weights are products over all frames at once, which
// `previous` is made for: that of weight_hh is gates^T previous.
struct LstmBackwardArgs {
  Tensor gates;  // the forward's; becomes the gradient of what it was, zero at frames past a length
  Tensor weight, reverse, lengths, cells, out, grad_out;  // as above
  Tensor previous;  // [2, N, T, H], written: each frame's last out, zero where there is none
};

}  // namespace tarn::kernels
