#include "autograd/dropout.h"

#include "autograd/check.h"
#include "kernels/dropout.h"
#include "kernels/table.h"

namespace tarn::ad {
namespace {

using kernels::Table;

class Dropout final : public Node {
 public:
  Dropout(double probability, const RngAddress& address)
      : probability_(probability), address_(address) {}
  const char* name() const override { return "dropout"; }
  std::vector<SavedTensor> saved() const override { return {}; }

  void backward(const Tensor& grad_out, InputGrads& inputs) override {
    const auto [grad_x, beta] = inputs.target(0);
    kernels::run(&Table::dropout, grad_out.device(),
                 {.x = grad_out,
                  .out = grad_x,
                  .probability = probability_,
                  .address = address_,
                  .beta = beta});
  }

 private:
  double probability_;
  RngAddress address_;
};

}  // namespace

Tensor dropout(const Tensor& x, double probability, const RngAddress& address) {
  const Check check("dropout");
  check.floats({{"x", x}});
  check.probability(probability);
  if (probability == 0) return x;
  check.contiguous({{"x", x}});
  Tensor out = Tensor::empty_like(x);
  kernels::run(&Table::dropout, x.device(),
               {.x = x, .out = out, .probability = probability, .address = address});
  return recorded<Dropout>(out, {&x}, probability, address);
}

}  // namespace tarn::ad
