#include "kernels/logistic_mixture.h"

#include <cmath>

#include "kernels/common/logistic_mixture.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/rows.h"
#include "kernels/cpu/scratch.h"
#include "kernels/dtype_switch.h"
#include "kernels/table.h"

namespace tarn::kernels::cpu {
namespace {

constexpr std::int64_t kRows = 256;  // a chunk of the sum

double log_sum_exp(const double* x, std::int64_t n) {
  const double top = *std::max_element(x, x + n);
  double total = 0;
  for (std::int64_t i = 0; i < n; ++i) total += std::exp(x[i] - top);
  return top + std::log(total);
}

// Working memory of a row of `count` components.
struct Row {
  Row(double* memory, std::int64_t count)
      : log_prior(memory),
        log_joint(memory + count),
        by_mean(log_joint + count),
        by_scale(by_mean + count) {}
  static std::int64_t size(std::int64_t count) { return 4 * count; }

  double* log_prior;  // log softmax of the logits
  double* log_joint;  // that and log P(target) under the component
  double *by_mean, *by_scale;
};

// log p(target); fills the row.
template <class T>
double log_likelihood(const T* parameters, std::int64_t count, double target, const Row& row) {
  std::copy(parameters, parameters + count, row.log_prior);
  const double normaliser = log_sum_exp(row.log_prior, count);
  for (std::int64_t k = 0; k < count; ++k) {
    const LogisticComponent c =
        logistic_component(target, static_cast<double>(parameters[count + k]),
                           static_cast<double>(parameters[2 * count + k]));
    row.log_prior[k] -= normaliser;
    row.log_joint[k] = row.log_prior[k] + c.log_p;
    row.by_mean[k] = c.by_mean;
    row.by_scale[k] = c.by_log_scale;
  }
  return log_sum_exp(row.log_joint, count);
}

template <class T>
void write_gradient(const Row& row, std::int64_t count, double log_p, double share, T* gradient) {
  for (std::int64_t k = 0; k < count; ++k) {
    const double posterior = std::exp(row.log_joint[k] - log_p);
    gradient[k] = static_cast<T>(share * (std::exp(row.log_prior[k]) - posterior));
    gradient[count + k] = static_cast<T>(-share * posterior * row.by_mean[k]);
    gradient[2 * count + k] = static_cast<T>(-share * posterior * row.by_scale[k]);
  }
}

template <class T>
void forward(const LogisticMixtureForwardArgs& args, double* partial) {
  const std::int64_t width = args.parameters.size(-1), count = width / 3;
  const std::int64_t rows = args.targets.elements();
  const T* parameters = args.parameters.data<T>();
  const float* targets = args.targets.data<float>();
  T* gradient = args.gradient.defined() ? args.gradient.mutable_data<T>() : nullptr;
  const double share = 1 / static_cast<double>(rows);
  parallel_chunks(rows, kRows, [&](std::int64_t first, std::int64_t last) {
    const Row row(thread_scratch<double>(Row::size(count)), count);
    double total = 0;
    for (std::int64_t r = first; r < last; ++r) {
      const auto target = static_cast<double>(targets[r]);
      const double log_p = log_likelihood(parameters + r * width, count, target, row);
      total -= log_p;
      if (gradient != nullptr) write_gradient(row, count, log_p, share, gradient + r * width);
    }
    partial[first / kRows] = total;
  });
  double* totals = args.totals.mutable_data<double>();
  totals[0] = 0;
  for (std::int64_t c = 0; c * kRows < rows; ++c) totals[0] += partial[c];
  totals[1] = static_cast<double>(rows);
  *args.loss.mutable_data<T>() = static_cast<T>(totals[0] / totals[1]);
}

template <class T>
void backward(const LogisticMixtureBackwardArgs& args) {
  const T* gradient = args.gradient.data<T>();
  const T grad_loss = *args.grad_loss.data<T>();
  const T beta = static_cast<T>(args.beta);
  T* grad = args.grad_parameters.mutable_data<T>();
  parallel_chunks(
      args.gradient.elements(), kChunkElements, [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t i = first; i < last; ++i) {
          grad[i] = beta == 0 ? grad_loss * gradient[i] : beta * grad[i] + grad_loss * gradient[i];
        }
      });
}

}  // namespace

std::int64_t logistic_mixture_forward_scratch_bytes(const LogisticMixtureForwardArgs& args) {
  return std::int64_t{sizeof(double)} * ((args.targets.elements() + kRows - 1) / kRows);
}

void logistic_mixture_forward(const LogisticMixtureForwardArgs& args, Scratch scratch) {
  with_float_type(args.parameters.dtype(),
                  [&](auto zero) { forward<decltype(zero)>(args, scratch.as<double>()); });
}

void logistic_mixture_backward(const LogisticMixtureBackwardArgs& args) {
  with_float_type(args.gradient.dtype(), [&](auto zero) { backward<decltype(zero)>(args); });
}

}  // namespace tarn::kernels::cpu
