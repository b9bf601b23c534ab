#include "autograd/ctc.h"

#include "kernels/ctc.h"
#include "kernels/table.h"

namespace tarn::ad {
namespace {

using kernels::Table;

// Holds the arguments of its backward kernel, filled but for the gradients.
class CtcNode final : public Node {
 public:
  explicit CtcNode(kernels::CtcBackwardArgs args) : args_(std::move(args)) {}
  const char* name() const override { return "ctc"; }

  void backward(const Tensor& grad_out, InputGrads& inputs) override {
    const auto [grad_logits, beta] = inputs.target(0);
    args_.grad_loss = grad_out;
    args_.grad_logits = grad_logits;
    args_.beta = beta;
    kernels::run(&Table::ctc_backward, grad_out.device(), args_);
  }

 private:
  kernels::CtcBackwardArgs args_;
};

void check(const Tensor& logits, const Tensor& labels, const Tensor& frame_lengths,
           const Tensor& label_lengths) {
  TARN_CHECK_SHAPE(logits.rank() == 3 && logits.size(2) > 0 && labels.rank() == 2 &&
                       labels.size(0) == logits.size(0) &&
                       frame_lengths.shape() == Shape{logits.size(0)} &&
                       label_lengths.shape() == frame_lengths.shape(),
                   "ctc: logits ", logits.shape(), ", labels ", labels.shape(), ", frame_lengths ",
                   frame_lengths.shape(), " and label_lengths ", label_lengths.shape(),
                   " must be [N, T, C], [N, S], [N] and [N]");
  TARN_CHECK_SHAPE(logits.is_contiguous() && labels.is_contiguous() &&
                       frame_lengths.is_contiguous() && label_lengths.is_contiguous(),
                   "ctc: logits, labels and lengths must be contiguous");
  for (const Tensor* x : {&labels, &frame_lengths, &label_lengths}) {
    TARN_CHECK_AS(DTypeError, x->dtype() == DType::i32, "ctc: labels and lengths must be i32, not ",
                  name_of(x->dtype()));
  }
}

}  // namespace

Ctc ctc(const Tensor& logits, const Tensor& labels, const Tensor& frame_lengths,
        const Tensor& label_lengths, CtcWeight weight) {
  check(logits, labels, frame_lengths, label_lengths);
  const std::int64_t batch = logits.size(0), frames = logits.size(1);
  const auto wide = [&](const Shape& shape) {
    return Tensor::empty(shape, DType::f64, logits.device());
  };
  const kernels::CtcForwardArgs args{.logits = logits,
                                     .labels = labels,
                                     .frame_lengths = frame_lengths,
                                     .label_lengths = label_lengths,
                                     .per_label = weight == CtcWeight::per_label,
                                     .normalisers = wide({batch, frames}),
                                     .alpha = wide({batch, frames, 2 * labels.size(1) + 1}),
                                     .losses = wide({batch}),
                                     .totals = wide({2}),
                                     .loss = Tensor::empty({}, logits.dtype(), logits.device())};
  kernels::run(&Table::ctc_forward, logits.device(), args);
  const Tensor loss = recorded<CtcNode>(args.loss, {&logits},
                                        kernels::CtcBackwardArgs{.logits = logits,
                                                                 .labels = labels,
                                                                 .frame_lengths = frame_lengths,
                                                                 .label_lengths = label_lengths,
                                                                 .per_label = args.per_label,
                                                                 .normalisers = args.normalisers,
                                                                 .alpha = args.alpha,
                                                                 .losses = args.losses,
                                                                 .totals = args.totals});
  return {loss, args.totals, args.losses};
}

}  // namespace tarn::ad
