#include "autograd/logistic_mixture.h"

#include "kernels/logistic_mixture.h"
#include "kernels/table.h"

namespace tarn::ad {
namespace {

using kernels::Table;

// The forward makes the gradient too, from the exponentials that it has at hand.
class LogisticMixtureNode final : public Node {
 public:
  explicit LogisticMixtureNode(Tensor slope) : slope_(std::move(slope)) {}
  const char* name() const override { return "logistic_mixture"; }

  void backward(const Tensor& grad_out, InputGrads& inputs) override {
    const auto [grad_parameters, beta] = inputs.target(0);
    kernels::run(
        &Table::logistic_mixture_backward, slope_.device(),
        {.slope = slope_, .grad_loss = grad_out, .grad_parameters = grad_parameters, .beta = beta});
  }

 private:
  Tensor slope_;
};

}  // namespace

LogisticMixture logistic_mixture(const Tensor& parameters, const Tensor& targets) {
  TARN_CHECK_SHAPE(parameters.rank() >= 1 && parameters.size(-1) > 0 &&
                       parameters.size(-1) % 3 == 0 &&
                       targets.shape() == parameters.shape().without_last(),
                   "logistic_mixture: parameters ", parameters.shape(), " and targets ",
                   targets.shape(), " must be [..., 3 * mixtures] and [...]");
  TARN_CHECK_SHAPE(targets.elements() > 0, "logistic_mixture: targets ", targets.shape(),
                   " hold nothing to take the mean of");
  TARN_CHECK_SHAPE(parameters.is_contiguous() && targets.is_contiguous(),
                   "logistic_mixture: parameters and targets must be contiguous");
  TARN_CHECK_AS(DTypeError, targets.dtype() == DType::f32,
                "logistic_mixture: targets must be f32, not ", name_of(targets.dtype()));
  const Device device = parameters.device();
  const Tape* tape = Tape::active();
  const bool differentiated = tape != nullptr && tape->holds(parameters);
  LogisticMixture out{Tensor::empty({}, parameters.dtype(), device),
                      Tensor::empty({2}, DType::f64, device)};
  kernels::LogisticMixtureForwardArgs args{
      .parameters = parameters, .targets = targets, .totals = out.totals, .loss = out.loss};
  if (differentiated) args.slope = Tensor::empty_like(parameters);
  kernels::run(&Table::logistic_mixture_forward, device, args);
  out.loss = recorded<LogisticMixtureNode>(out.loss, {&parameters}, args.slope);
  return out;
}

}  // namespace tarn::ad
