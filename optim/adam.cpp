#include <cmath>

#include "kernels/optimizer.h"
#include "kernels/table.h"
#include "optim/kinds.h"

namespace tarn::optim {
namespace {

// Adam (Kingma and Ba, 2015), weight decay as an L2 term of the gradient; and AdamW (Loshchilov and
// Hutter, 2019), weight decay on the value itself.
class Adam final : public Optimizer {
 public:
  Adam(std::vector<ad::Parameter*> parameters, const OptimizerOptions& options, bool decoupled)
      : Optimizer(std::move(parameters), options, {"m", "v"}), decoupled_(decoupled) {}

 protected:
  void update(const Update& update, double lr) override {
    const auto t = static_cast<double>(updates());
    const OptimizerOptions& o = options();
    kernels::run(&kernels::Table::adam_step, update.device,
                 {.value = update.values,
                  .gradients = update.gradients,
                  .m = update.moments[0],
                  .v = update.moments[1],
                  .beta1 = o.beta1,
                  .beta2 = o.beta2,
                  .eps = o.eps,
                  .step_size = lr / (1 - std::pow(o.beta1, t)),
                  .v_scale = 1 / std::sqrt(1 - std::pow(o.beta2, t)),
                  .decay = decoupled_ ? lr * o.weight_decay : 0,
                  .l2 = decoupled_ ? 0 : o.weight_decay});
  }

 private:
  bool decoupled_;
};

}  // namespace

std::unique_ptr<Optimizer> make_adam(std::vector<ad::Parameter*> parameters,
                                     const OptimizerOptions& options) {
  return std::make_unique<Adam>(std::move(parameters), options, false);
}

std::unique_ptr<Optimizer> make_adamw(std::vector<ad::Parameter*> parameters,
                                      const OptimizerOptions& options) {
  return std::make_unique<Adam>(std::move(parameters), options, true);
}

}  // namespace tarn::optim
