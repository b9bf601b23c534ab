#include "autograd/recompute.h"

#include "kernels/copy.h"
#include "kernels/table.h"

namespace tarn::ad {
namespace {

class Recompute final : public Node {
 public:
  Recompute(Tensor x, std::function<Tensor(const Tensor&)> forward)
      : x_(std::move(x)), forward_(std::move(forward)) {}
  const char* name() const override { return "recompute"; }
  std::vector<SavedTensor> saved() const override { return {{"x", x_}}; }

  void backward(const Tensor& grad_out, InputGrads& inputs) override {
    Parameter x("x", x_);
    Tape tape;
    Tensor out;
    {
      const Recording recording = tape.record();
      out = forward_(x.tensor());
    }
    tape.backward_taking(out, grad_out);  // the node's own
    const auto [grad_x, beta] = inputs.target(0);
    if (!grad_x.defined() || !x.has_grad()) return;
    kernels::run(&kernels::Table::copy, grad_x.device(),
                 {.from = x.grad(), .to = grad_x, .beta = beta});
  }

 private:
  Tensor x_;
  std::function<Tensor(const Tensor&)> forward_;
};

}  // namespace

Tensor recompute(const Tensor& x, std::function<Tensor(const Tensor&)> forward) {
  Tape* tape = Tape::active();
  if (tape == nullptr) return forward(x);
  Tensor out = [&] {
    const Pause pause;
    return forward(x.detach());
  }();
  // Always recorded: parameters that `forward` reads want gradients even where x wants none.
  tape->push(out, {&x}, std::make_unique<Recompute>(x, std::move(forward)));
  return out;
}

}  // namespace tarn::ad
