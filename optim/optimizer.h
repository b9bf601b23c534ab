// How parameters move. An optimizer clips, updates and keeps its moments; when and how fast is the
// schedule's business.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "autograd/parameter.h"
#include "core/tensor.h"

namespace tarn::optim {

enum class Clip : std::uint8_t {
  per_tensor,  // each tensor's gradient to the norm, as the authors do
  global,      // all gradients together
};

struct OptimizerOptions {
  std::string kind = "radam";  // one of optimizer_kinds()
  double weight_decay = 0.01;
  double max_grad_norm = 1;  // 0: no clipping
  Clip clip = Clip::per_tensor;
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
  double momentum = 0.9;  // sgd
};

// A moment of one parameter, by the name that checkpoints use: "m.predictor.weight".
struct NamedState {
  std::string name;
  Tensor value;
};

class Optimizer {
 public:
  Optimizer(std::vector<ad::Parameter*> parameters, const OptimizerOptions& options,
            const std::vector<std::string_view>& moments);
  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  // Clips and updates every parameter that has a gradient, and clears the gradients. Returns the
  // norm over all of them before clipping; when it is not finite, nothing was updated or cleared.
  // Throws Error with the names of the moment and the update where a moment overflowed, which would
  // hold its parameter still from then on; the update is then half done and must not be saved.
  double step(double lr);

  std::int64_t updates() const { return updates_; }
  void set_updates(std::int64_t updates) { updates_ = updates; }  // when a checkpoint is loaded
  // The moments, in place: reading and writing them saves and restores the optimizer.
  const std::vector<NamedState>& state() const { return state_; }

 protected:
  // One parameter's update, the `updates()`-th from 1. moments: this parameter's, in the order
  // named.
  virtual void update(const ad::Parameter& parameter, const std::vector<Tensor>& moments, double lr,
                      double grad_scale) = 0;
  const OptimizerOptions& options() const { return options_; }

 private:
  std::vector<double> gradient_norms() const;  // one a parameter; 0 for those without a gradient
  void check_moments(std::size_t parameter, double norm) const;  // after its update

  std::vector<ad::Parameter*> parameters_;
  OptimizerOptions options_;
  std::size_t moments_;
  std::vector<NamedState> state_;  // parameter by parameter
  std::int64_t updates_ = 0;
};

// "sgd", "adam", "adamw", "radam" (the authors' variant), "radam-standard".
std::vector<std::string_view> optimizer_kinds();
// Throws ConfigError that lists the kinds when there is none of this name.
std::unique_ptr<Optimizer> make_optimizer(std::vector<ad::Parameter*> parameters,
                                          const OptimizerOptions& options);

}  // namespace tarn::optim
