#include "autograd/ctc.h"

#include "autograd/check.h"
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
  std::vector<SavedTensor> saved() const override {
    return {{"logits", args_.logits},
            {"labels", args_.labels},
            {"frame_lengths", args_.frame_lengths},
            {"label_lengths", args_.label_lengths},
            {"totals", args_.totals},
            {"losses", args_.losses}};
  }

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

void check_ctc(const Tensor& logits, const Tensor& labels, const Tensor& frame_lengths,
               const Tensor& label_lengths) {
  const Check check("ctc");
  check.floats({{"logits", logits}});
  check.rank({"logits", logits}, 3, "[N, T, C]");
  check.widths({"logits", logits});
  check.contiguous({{"logits", logits}});
  check.required({{"labels", labels}, {"lengths", frame_lengths}, {"lengths", label_lengths}});
  check.rank({"labels", labels}, 2, "[N, S]");
  const std::int64_t batch = logits.size(0), most = labels.size(1);
  const Device device = logits.device();
  check.integers({"labels", labels}, {batch, most}, device);
  check.lengths({"frame_lengths", frame_lengths}, batch, logits.size(1), device);
  check.lengths({"label_lengths", label_lengths}, batch, most, device);
  if (device.kind != DeviceKind::cpu) return;
  for (std::int64_t n = 0; n < batch; ++n) {
    const std::int64_t count = label_lengths.data<std::int32_t>()[n];
    check.range({"labels", labels.slice(0, n, 1).slice(1, 0, count)}, 1, logits.size(2) - 1);
  }
}

}  // namespace

Ctc ctc(const Tensor& logits, const Tensor& labels, const Tensor& frame_lengths,
        const Tensor& label_lengths, CtcWeight weight) {
  check_ctc(logits, labels, frame_lengths, label_lengths);
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
