#include "autograd/cross_entropy.h"

#include "kernels/cross_entropy.h"
#include "kernels/table.h"

namespace tarn::ad {
namespace {

using kernels::Table;

class CrossEntropyNode final : public Node {
 public:
  CrossEntropyNode(Tensor logits, Tensor targets, Tensor weights, Tensor totals)
      : logits_(std::move(logits)),
        targets_(std::move(targets)),
        weights_(std::move(weights)),
        totals_(std::move(totals)) {}
  const char* name() const override { return "cross_entropy"; }

  void backward(const Tensor& grad_out, InputGrads& inputs) override {
    const auto [grad_logits, beta] = inputs.target(0);
    kernels::run(&Table::cross_entropy_backward, logits_.device(),
                 {.logits = logits_,
                  .targets = targets_,
                  .weights = weights_,
                  .totals = totals_,
                  .grad_loss = grad_out,
                  .grad_logits = grad_logits,
                  .beta = beta});
  }

 private:
  Tensor logits_, targets_, weights_, totals_;
};

}  // namespace

CrossEntropy cross_entropy(const Tensor& logits, const Tensor& targets, const Tensor& weights) {
  TARN_CHECK_SHAPE(logits.rank() >= 1 && targets.shape() == logits.shape().without_last() &&
                       weights.shape() == targets.shape(),
                   "cross_entropy: logits ", logits.shape(), ", targets ", targets.shape(),
                   " and weights ", weights.shape(), " must be [..., classes], [...] and [...]");
  TARN_CHECK_SHAPE(logits.is_contiguous() && targets.is_contiguous() && weights.is_contiguous(),
                   "cross_entropy: logits, targets and weights must be contiguous");
  TARN_CHECK_AS(DTypeError, weights.dtype() == logits.dtype(), "cross_entropy: logits are ",
                name_of(logits.dtype()), " and weights ", name_of(weights.dtype()));
  CrossEntropy out{Tensor::empty({}, logits.dtype(), logits.device()),
                   Tensor::empty({3}, DType::f64, logits.device())};
  kernels::CrossEntropyForwardArgs args{.logits = logits,
                                        .targets = targets,
                                        .weights = weights,
                                        .totals = out.totals,
                                        .loss = out.loss};
  kernels::run(&Table::cross_entropy_forward, logits.device(), args);
  out.loss = recorded<CrossEntropyNode>(out.loss, {&logits}, logits, targets, weights, out.totals);
  return out;
}

}  // namespace tarn::ad
