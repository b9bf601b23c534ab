// Calls of the LSTM kernels: several groups of sequences of unequal lengths.
#include "kernels/lstm.h"
#include "kernels/table.h"
#include "tests/support/kernel_calls.h"
#include "tests/support/random_tensor.h"

namespace tarn::test {
namespace {

using kernels::run;
using kernels::Table;
using Outputs = std::vector<Tensor>;

const Device kCpu = Device::cpu();
constexpr std::int64_t kBatch = 37, kFrames = 9, kHidden = 35;

// The outputs of the forward, or those of the backward behind it.
Outputs lstm(DType dtype, bool backward) {
  kernels::LstmForwardArgs args{
      .gates = uniform_tensor({2, kBatch, kFrames, 4 * kHidden}, dtype, "gates"),
      .weight = uniform_tensor({4 * kHidden, kHidden}, dtype, "weight"),
      .reverse = uniform_tensor({4 * kHidden, kHidden}, dtype, "reverse"),
      .lengths = Tensor::empty({kBatch}, DType::i32, kCpu),
      .cells = Tensor::zeros({2, kBatch, kFrames, kHidden}, dtype, kCpu),
      .out = Tensor::empty({kBatch, kFrames, 2 * kHidden}, dtype, kCpu)};
  for (std::int64_t n = 0; n < kBatch; ++n) {
    set(args.lengths, n, static_cast<double>(n * 7 % (kFrames + 1)));
  }
  run(&Table::lstm_forward, kCpu, args);
  if (!backward) return {args.gates, args.cells, args.out};
  kernels::LstmBackwardArgs back{.gates = args.gates,
                                 .weight = args.weight,
                                 .reverse = args.reverse,
                                 .lengths = args.lengths,
                                 .cells = args.cells,
                                 .out = args.out,
                                 .grad_out = uniform_tensor(args.out.shape(), dtype, "grad_out"),
                                 .previous = Tensor::empty(args.cells.shape(), dtype, kCpu)};
  run(&Table::lstm_backward, kCpu, back);
  return {back.gates, back.previous};
}

}  // namespace

std::vector<KernelCall> recurrent_calls() {
  return {
      {"lstm_forward", "", [](DType d) { return lstm(d, false); }},
      {"lstm_backward", "", [](DType d) { return lstm(d, true); }},
  };
}

}  // namespace tarn::test
