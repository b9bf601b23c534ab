#include "autograd/logistic_mixture.h"

#include "autograd/check.h"
#include "kernels/logistic_mixture.h"
#include "kernels/table.h"

namespace tarn::ad {
namespace {

using kernels::Table;

// The forward makes the gradient too, from the exponentials that it has at hand.
class LogisticMixtureNode final : public Node {
 public:
  explicit LogisticMixtureNode(Tensor gradient) : gradient_(std::move(gradient)) {}
  const char* name() const override { return "logistic_mixture"; }
  std::vector<SavedTensor> saved() const override { return {}; }

  void backward(const Tensor& grad_out, InputGrads& inputs) override {
    const auto [grad_parameters, beta] = inputs.target(0);
    kernels::run(&Table::logistic_mixture_backward, gradient_.device(),
                 {.gradient = gradient_,
                  .grad_loss = grad_out,
                  .grad_parameters = grad_parameters,
                  .beta = beta});
  }

 private:
  Tensor gradient_;
};

}  // namespace

LogisticMixture logistic_mixture(const Tensor& parameters, const Tensor& targets) {
  const Check check("logistic_mixture");
  check.floats({{"parameters", parameters}});
  check.widths({"parameters", parameters});
  TARN_CHECK_SHAPE(parameters.size(-1) % 3 == 0, "logistic_mixture: parameters ", parameters,
                   " must be [..., 3 * mixtures]");
  check.required({{"targets", targets}});
  check.dtype({"targets", targets}, DType::f32);
  check.device({"targets", targets}, parameters.device());
  check.shape({"targets", targets}, parameters.shape().without_last());
  check.contiguous({{"parameters", parameters}, {"targets", targets}});
  TARN_CHECK_SHAPE(targets.elements() > 0, "logistic_mixture: targets ", targets,
                   " hold nothing to take the mean of");
  const Device device = parameters.device();
  const Tape* tape = Tape::active();
  const bool differentiated = tape != nullptr && tape->holds(parameters);
  LogisticMixture out{Tensor::empty({}, parameters.dtype(), device),
                      Tensor::empty({2}, DType::f64, device)};
  kernels::LogisticMixtureForwardArgs args{
      .parameters = parameters, .targets = targets, .totals = out.totals, .loss = out.loss};
  if (differentiated) args.gradient = Tensor::empty_like(parameters);
  kernels::run(&Table::logistic_mixture_forward, device, args);
  out.loss = recorded<LogisticMixtureNode>(out.loss, {&parameters}, args.gradient);
  return out;
}

}  // namespace tarn::ad
