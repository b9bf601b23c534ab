#include "autograd/dropout.h"

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
  TARN_CHECK(probability >= 0 && probability < 1, "dropout: probability ", probability,
             " must be in [0, 1)");
  if (probability == 0) return x;
  TARN_CHECK_SHAPE(x.is_contiguous(), "dropout: x ", x.shape(), " must be contiguous");
  Tensor out = Tensor::empty_like(x);
  kernels::run(&Table::dropout, x.device(),
               {.x = x, .out = out, .probability = probability, .address = address});
  return recorded<Dropout>(out, {&x}, probability, address);
}

}  // namespace tarn::ad
