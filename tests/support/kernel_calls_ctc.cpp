// Calls of the ctc kernels: seven utterances, one of them infeasible, each a piece of work.
#include "kernels/ctc.h"
#include "kernels/table.h"
#include "tests/support/kernel_calls.h"
#include "tests/support/random_tensor.h"

namespace tarn::test {
namespace {

using kernels::Table;

const Device kCpu = Device::cpu();
constexpr std::int64_t kBatch = 7, kFrames = 63, kClasses = 40, kLabels = 30;

kernels::CtcForwardArgs run_forward(DType dtype) {
  Tensor labels = Tensor::empty({kBatch, kLabels}, DType::i32, kCpu);
  for (std::int64_t i = 0; i < labels.elements(); ++i) {
    set(labels, i, 1 + static_cast<double>(i / 2 % (kClasses - 1)));
  }
  kernels::CtcForwardArgs args{
      .logits = uniform_tensor({kBatch, kFrames, kClasses}, dtype, "logits"),
      .labels = labels,
      .frame_lengths = from_vector({kBatch}, {63, 1, 60, 33, 63, 40, 17}, DType::i32),
      .label_lengths = from_vector({kBatch}, {30, 1, 17, 5, 0, 30, 3}, DType::i32),
      .normalisers = Tensor::empty({kBatch, kFrames}, DType::f64, kCpu),
      .alpha = Tensor::empty({kBatch, kFrames, 2 * kLabels + 1}, DType::f64, kCpu),
      .losses = Tensor::empty({kBatch}, DType::f64, kCpu),
      .totals = Tensor::empty({2}, DType::f64, kCpu),
      .loss = Tensor::empty({}, dtype, kCpu)};
  run(&Table::ctc_forward, kCpu, args);
  return args;
}

std::vector<Tensor> forward(DType dtype) {
  const auto args = run_forward(dtype);
  return {args.losses, args.totals, args.loss};
}

std::vector<Tensor> backward(DType dtype) {
  const auto args = run_forward(dtype);
  const Tensor grad = uniform_tensor(args.logits.shape(), dtype, "grad");
  run(&Table::ctc_backward, kCpu,
      {.logits = args.logits,
       .labels = args.labels,
       .frame_lengths = args.frame_lengths,
       .label_lengths = args.label_lengths,
       .per_label = true,
       .normalisers = args.normalisers,
       .alpha = args.alpha,
       .losses = args.losses,
       .totals = args.totals,
       .grad_loss = uniform_tensor({}, dtype, "grad_loss"),
       .grad_logits = grad,
       .beta = 1});
  return {grad};
}

}  // namespace

std::vector<KernelCall> ctc_calls() {
  return {{"ctc_forward", "", forward}, {"ctc_backward", "", backward}};
}

}  // namespace tarn::test
