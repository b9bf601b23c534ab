#include "optim/optimizer.h"

#include <algorithm>
#include <cmath>

#include "core/transfer.h"
#include "kernels/copy.h"
#include "kernels/optimizer.h"
#include "kernels/table.h"
#include "optim/kinds.h"

namespace tarn::optim {
namespace {

using Maker = std::unique_ptr<Optimizer> (*)(std::vector<ad::Parameter*> parameters,
                                             const OptimizerOptions& options);
struct Kind {
  std::string_view name;
  Maker make;
};

constexpr Kind kKinds[] = {
    {"sgd", make_sgd},
    {"adam", make_adam},
    {"adamw", make_adamw},
    {"radam", make_radam},
    {"radam-standard", make_radam_standard},
};

}  // namespace

Optimizer::Optimizer(std::vector<ad::Parameter*> parameters, const OptimizerOptions& options,
                     const std::vector<std::string_view>& moments)
    : parameters_(std::move(parameters)), options_(options), moments_(moments.size()) {
  for (const ad::Parameter* parameter : parameters_) {
    const Tensor& value = parameter->value();
    const Tensor& first = parameters_.front()->value();
    TARN_CHECK_AS(DTypeError, value.dtype() == first.dtype(), options.kind, ": ", parameter->name(),
                  " is ", value, ", and ", parameters_.front()->name(), " is ", first,
                  "; an optimizer's parameters are of one dtype");
    TARN_CHECK_AS(DeviceError, value.device() == first.device(), options.kind, ": ",
                  parameter->name(), " is on ", value.device(), ", and ",
                  parameters_.front()->name(), " on ", first.device(),
                  "; an optimizer's parameters are on one device");
    for (const std::string_view moment : moments) {
      state_.push_back({message(moment, ".", parameter->name()),
                        Tensor::zeros(value.shape(), value.dtype(), value.device())});
    }
  }
  if (parameters_.empty()) return;
  stopped_ = Tensor::zeros({1}, DType::f64, parameters_.front()->value().device());
}

double Optimizer::step(double lr) {
  QueuedUpdate update = enqueue(lr, {});
  const double norm = finish(update).norm;
  if (std::isfinite(norm)) clear_gradients(update);
  return norm;
}

QueuedUpdate Optimizer::queue(double lr, const Tensor& watched) {
  QueuedUpdate update = enqueue(lr, watched);
  clear_gradients(update);
  return update;
}

QueuedUpdate Optimizer::enqueue(double lr, const Tensor& watched) {
  QueuedUpdate queued{++updates_, {}, {}};
  Update update;
  update.moments.resize(moments_);
  for (std::size_t p = 0; p < parameters_.size(); ++p) {
    if (!parameters_[p]->has_grad()) continue;
    queued.parameters.push_back(p);
    update.values.push_back(parameters_[p]->value());
    update.gradients.grad.push_back(parameters_[p]->grad());
    for (std::size_t i = 0; i < moments_; ++i) {
      update.moments[i].push_back(state_[p * moments_ + i].value);
    }
  }
  update.device = parameters_.empty() ? Device::cpu() : parameters_.front()->value().device();
  const std::int64_t watching = watched.defined() ? watched.elements() : 0;
  const auto count = static_cast<std::int64_t>(queued.parameters.size());
  const Tensor figures = Tensor::zeros({watching + count + 1}, DType::f64, update.device);
  if (watching > 0) {
    kernels::run(&kernels::Table::copy, update.device,
                 {.from = watched.view({watching}), .to = figures.slice(0, 0, watching)});
  }
  if (count > 0) {
    const Tensor squares = figures.slice(0, watching, count);
    kernels::run(&kernels::Table::sum_of_squares, update.device,
                 {.x = update.gradients.grad, .totals = squares});
    update.gradients.scales = Tensor::empty({count}, DType::f64, update.device);
    update.gradients.stopped = stopped_;
    kernels::run(&kernels::Table::clip_scales, update.device,
                 {.squares = squares,
                  .watched = watched,
                  .max_norm = options_.max_grad_norm,
                  .per_tensor = options_.clip == Clip::per_tensor,
                  .scales = update.gradients.scales,
                  .norm = figures.slice(0, watching + count, 1),
                  .stopped = stopped_});
    this->update(update, lr);
  }
  queued.figures = HostCopy(figures);
  return queued;
}

UpdateFigures Optimizer::finish(QueuedUpdate& update) {
  const std::span<const double> figures = update.figures.wait<double>();
  const std::size_t count = update.parameters.size();
  const std::span<const double> watched = figures.first(figures.size() - count - 1);
  const std::span<const double> squares = figures.subspan(watched.size(), count);
  UpdateFigures out{figures.back(), {watched.begin(), watched.end()}};
  const auto finite = [](double x) { return std::isfinite(x); };
  if (!finite(out.norm) || !std::all_of(out.watched.begin(), out.watched.end(), finite)) {
    updates_ = update.number - 1;
    if (count > 0) {
      kernels::run(&kernels::Table::fill, stopped_.device(), {.to = stopped_, .value = 0});
    }
    return out;
  }
  for (std::size_t i = 0; i < count; ++i) {
    check_moments(update, update.parameters[i], std::sqrt(squares[i]));
  }
  return out;
}

void Optimizer::clear_gradients(const QueuedUpdate& update) {
  for (const std::size_t p : update.parameters) parameters_[p]->clear_grad();
}

// The square of a gradient that is finite need not be: that of 1e25 is past the range of f32. A
// moment is a mean of gradients or of their squares, so that no smaller norm has to be looked into.
void Optimizer::check_moments(const QueuedUpdate& update, std::size_t parameter,
                              double norm) const {
  constexpr double kSquaresFit = 1e18;
  if (norm < kSquaresFit) return;
  for (std::size_t i = 0; i < moments_; ++i) {
    const auto& [name, value] = state_[parameter * moments_ + i];
    const Tensor count = Tensor::empty({1}, DType::f64, value.device());
    kernels::run(&kernels::Table::count_nonfinite, value.device(), {.x = {value}, .totals = count});
    TARN_CHECK(item(count) == 0, options_.kind, ": update ", update.number, " made ", name,
               " infinite or NaN, from a gradient of norm ", norm, " that ", name_of(value.dtype()),
               " cannot hold here; clip gradients with a max_grad_norm above 0");
  }
}

std::vector<std::string_view> optimizer_kinds() {
  std::vector<std::string_view> names;
  for (const Kind& kind : kKinds) names.push_back(kind.name);
  return names;
}

std::unique_ptr<Optimizer> make_optimizer(std::vector<ad::Parameter*> parameters,
                                          const OptimizerOptions& options) {
  std::string known;
  for (const Kind& kind : kKinds) {
    if (kind.name == options.kind) return kind.make(std::move(parameters), options);
    known += known.empty() ? "" : ", ";
    known += kind.name;
  }
  fail<ConfigError>("\"", options.kind, "\" is not a kind of optimizer; there are ", known);
}

}  // namespace tarn::optim
