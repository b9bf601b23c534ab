// How parameters move. An optimizer clips, updates and keeps its moments; when and how fast is the
// schedule's business.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "autograd/parameter.h"
#include "core/tensor.h"
#include "core/transfer.h"
#include "kernels/optimizer.h"

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

// An update that was asked for. On a device other than the CPU it may still be under way.
struct QueuedUpdate {
  std::int64_t number = 0;              // from 1
  std::vector<std::size_t> parameters;  // which have a gradient
  HostCopy figures;  // f64: what was watched, the sums of squares, the norm over all
};

// What finish() reads of an update.
struct UpdateFigures {
  double norm = 0;              // over all gradients, before clipping
  std::vector<double> watched;  // as they were given to queue()
};

class Optimizer {
 public:
  // Throws DTypeError or DeviceError where parameters are not all of one dtype and one device.
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

  // The same in two halves, so that the program need not wait for the device in between: queue()
  // asks for the update and clears the gradients, and finish() reads what became of it. Where the
  // norm or a number of `watched` (f64, on the parameters' device) is not finite, this update and
  // those queued after it change nothing until finish() has found it.
  QueuedUpdate queue(double lr, const Tensor& watched = {});
  UpdateFigures finish(QueuedUpdate& update);

  std::int64_t updates() const { return updates_; }
  void set_updates(std::int64_t updates) { updates_ = updates; }  // when a checkpoint is loaded
  // The moments, in place: reading and writing them saves and restores the optimizer.
  const std::vector<NamedState>& state() const { return state_; }

 protected:
  // The parameters of an update, which all have gradients.
  struct Update {
    Device device;
    std::vector<Tensor> values;
    kernels::Gradients gradients;
    std::vector<std::vector<Tensor>> moments;  // for each moment in the order named, all parameters
  };

  // One update, the `updates()`-th from 1.
  virtual void update(const Update& update, double lr) = 0;
  const OptimizerOptions& options() const { return options_; }

 private:
  QueuedUpdate enqueue(double lr, const Tensor& watched);
  void clear_gradients(const QueuedUpdate& update);
  void check_moments(const QueuedUpdate& update, std::size_t parameter, double norm) const;

  std::vector<ad::Parameter*> parameters_;
  OptimizerOptions options_;
  std::size_t moments_;
  std::vector<NamedState> state_;  // parameter by parameter
  std::int64_t updates_ = 0;
  Tensor stopped_;  // f64 [1], on the parameters' device: whether updates change nothing
};

// "sgd", "adam", "adamw", "radam" (the authors' variant), "radam-standard".
std::vector<std::string_view> optimizer_kinds();
// Throws ConfigError that lists the kinds when there is none of this name.
std::unique_ptr<Optimizer> make_optimizer(std::vector<ad::Parameter*> parameters,
                                          const OptimizerOptions& options);

}  // namespace tarn::optim
