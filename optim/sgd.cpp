#include "kernels/optimizer.h"
#include "kernels/table.h"
#include "optim/kinds.h"

namespace tarn::optim {
namespace {

// Momentum as PyTorch has it: velocity = momentum * velocity + g, value -= lr * velocity; the
// weight decay is an L2 term of g.
class Sgd final : public Optimizer {
 public:
  Sgd(std::vector<ad::Parameter*> parameters, const OptimizerOptions& options)
      : Optimizer(std::move(parameters), options, {"velocity"}) {}

 protected:
  void update(const Update& update, double lr) override {
    kernels::run(&kernels::Table::sgd_step, update.device,
                 {.value = update.values,
                  .gradients = update.gradients,
                  .velocity = update.moments[0],
                  .lr = lr,
                  .momentum = options().momentum,
                  .l2 = options().weight_decay});
  }
};

}  // namespace

std::unique_ptr<Optimizer> make_sgd(std::vector<ad::Parameter*> parameters,
                                    const OptimizerOptions& options) {
  return std::make_unique<Sgd>(std::move(parameters), options);
}

}  // namespace tarn::optim
