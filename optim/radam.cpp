#include <cmath>

#include "kernels/optimizer.h"
#include "kernels/table.h"
#include "optim/kinds.h"

namespace tarn::optim {
namespace {

// Rectified Adam (Liu et al., 2020), in two variants. The authors of the paper rectify from
// rho >= 5, decay the value itself, and add eps before the bias correction; the common one
// rectifies from rho > 5 and takes the decay as an L2 term. Below the threshold both are momentum
// SGD.
class RAdam final : public Optimizer {
 public:
  RAdam(std::vector<ad::Parameter*> parameters, const OptimizerOptions& options, bool authors)
      : Optimizer(std::move(parameters), options, {"m", "v"}), authors_(authors) {}

 protected:
  void update(const Update& update, double lr) override {
    const auto t = static_cast<double>(updates());
    const OptimizerOptions& o = options();
    const double beta2_t = std::pow(o.beta2, t);
    const double rho_end = 2 / (1 - o.beta2) - 1;
    const double rho = rho_end - 2 * t * beta2_t / (1 - beta2_t);
    const bool rectified = authors_ ? rho >= 5 : rho > 5;
    double step_size = lr / (1 - std::pow(o.beta1, t));
    if (rectified) {
      step_size *= std::sqrt((1 - beta2_t) * (rho - 4) * (rho - 2) * rho_end /
                             ((rho_end - 4) * (rho_end - 2) * rho));
    }
    kernels::run(&kernels::Table::adam_step, update.device,
                 {.value = update.values,
                  .gradients = update.gradients,
                  .m = update.moments[0],
                  .v = update.moments[1],
                  .beta1 = o.beta1,
                  .beta2 = o.beta2,
                  .eps = o.eps,
                  .step_size = step_size,
                  .decay = authors_ ? lr * o.weight_decay : 0,
                  .l2 = authors_ ? 0 : o.weight_decay,
                  .adaptive = rectified});
  }

 private:
  bool authors_;
};

}  // namespace

std::unique_ptr<Optimizer> make_radam(std::vector<ad::Parameter*> parameters,
                                      const OptimizerOptions& options) {
  return std::make_unique<RAdam>(std::move(parameters), options, true);
}

std::unique_ptr<Optimizer> make_radam_standard(std::vector<ad::Parameter*> parameters,
                                               const OptimizerOptions& options) {
  return std::make_unique<RAdam>(std::move(parameters), options, false);
}

}  // namespace tarn::optim
