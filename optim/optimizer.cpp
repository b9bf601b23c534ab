#include "optim/optimizer.h"

#include <cmath>

#include "core/transfer.h"
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

// How much of a gradient of this norm stays: all of it up to the limit. The authors' 1e-6 included.
double clip_scale(double norm, double limit) {
  return limit > 0 ? std::min(1.0, limit / (norm + 1e-6)) : 1.0;
}

}  // namespace

Optimizer::Optimizer(std::vector<ad::Parameter*> parameters, const OptimizerOptions& options,
                     const std::vector<std::string_view>& moments)
    : parameters_(std::move(parameters)), options_(options), moments_(moments.size()) {
  for (const ad::Parameter* parameter : parameters_) {
    const Tensor& value = parameter->value();
    for (const std::string_view moment : moments) {
      state_.push_back({message(moment, ".", parameter->name()),
                        Tensor::zeros(value.shape(), value.dtype(), value.device())});
    }
  }
}

double Optimizer::step(double lr) {
  const std::vector<double> norms = gradient_norms();
  double squares = 0;
  for (const double norm : norms) squares += norm * norm;
  const double global = std::sqrt(squares);
  if (!std::isfinite(global)) return global;

  ++updates_;
  for (std::size_t p = 0; p < parameters_.size(); ++p) {
    if (!parameters_[p]->has_grad()) continue;
    std::vector<Tensor> moments;
    for (std::size_t i = 0; i < moments_; ++i) moments.push_back(state_[p * moments_ + i].value);
    const double norm = options_.clip == Clip::global ? global : norms[p];
    update(*parameters_[p], moments, lr, clip_scale(norm, options_.max_grad_norm));
    check_moments(p, norms[p]);
    parameters_[p]->clear_grad();
  }
  return global;
}

// The square of a gradient that is finite need not be: that of 1e25 is past the range of f32. A
// moment is a mean of gradients or of their squares, so that no smaller norm has to be looked into.
void Optimizer::check_moments(std::size_t parameter, double norm) const {
  constexpr double kSquaresFit = 1e18;
  if (norm < kSquaresFit) return;
  for (std::size_t i = 0; i < moments_; ++i) {
    const auto& [name, value] = state_[parameter * moments_ + i];
    const Tensor count = Tensor::empty({1}, DType::f64, value.device());
    kernels::run(&kernels::Table::count_nonfinite, value.device(), {.x = value, .total = count});
    TARN_CHECK(item(count) == 0, options_.kind, ": update ", updates_, " made ", name,
               " infinite or NaN, from a gradient of norm ", norm, " that ", name_of(value.dtype()),
               " cannot hold here; clip gradients with a max_grad_norm above 0");
  }
}

std::vector<double> Optimizer::gradient_norms() const {
  std::vector<double> norms(parameters_.size(), 0.0);
  if (parameters_.empty()) return norms;
  const Device device = parameters_.front()->value().device();
  const Tensor totals =
      Tensor::zeros({static_cast<std::int64_t>(norms.size())}, DType::f64, device);
  for (std::size_t p = 0; p < norms.size(); ++p) {
    if (!parameters_[p]->has_grad()) continue;
    const Tensor& grad = parameters_[p]->grad();
    kernels::run(&kernels::Table::sum_of_squares, device,
                 {.x = grad, .total = totals, .index = static_cast<std::int64_t>(p)});
  }
  const Tensor host = copy_to(totals, Device::cpu());
  for (std::size_t p = 0; p < norms.size(); ++p) norms[p] = std::sqrt(host.data<double>()[p]);
  return norms;
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
