#include "autograd/cross_entropy.h"

#include "autograd/check.h"
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
  std::vector<SavedTensor> saved() const override {
    return {{"logits", logits_}, {"targets", targets_}, {"weights", weights_}, {"totals", totals_}};
  }

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
  const Check check("cross_entropy");
  check.required({{"logits", logits}, {"weights", weights}});
  check.floats({{"logits", logits}, {"weights", weights}});
  check.widths({"logits", logits});
  const Shape rows = logits.shape().without_last();
  check.integers({"targets", targets}, rows, logits.device());
  check.range({"targets", targets}, 0, logits.size(-1) - 1);
  check.shape({"weights", weights}, rows);
  check.contiguous({{"logits", logits}, {"weights", weights}});
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
