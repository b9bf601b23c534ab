#include <cmath>
#include <limits>

#include "kernels/common/logistic_mixture.h"
#include "kernels/cuda/gpu.h"
#include "kernels/dtype_switch.h"
#include "kernels/logistic_mixture.h"
#include "kernels/table.h"

namespace tarn::kernels::cuda {
namespace {

// A row belongs to this many neighbouring threads, and a component to one of them. Where there are
// more components, a thread has every kLanes'th.
constexpr unsigned kLanes = 16;
constexpr std::int64_t kRows = kThreads / kLanes;  // of a block

// The logarithm of a sum of exponentials, of which each thread of a row adds its own. No
// exponential of a positive number is taken, so that none overflows; a NaN stays one.
class LogSumExp {
 public:
  __device__ void add(double x) {
    if (x <= top_) {
      total_ += std::exp(x - top_);
    } else {
      total_ = total_ * std::exp(top_ - x) + 1;
      top_ = x;
    }
  }

  // Of the row's threads together, in a fixed order. All threads of the warp must call it.
  __device__ double of_row() const {
    double top = top_;
    for (unsigned bit = kLanes / 2; bit > 0; bit /= 2) {
      top = std::max(top, __shfl_xor_sync(~0U, top, static_cast<int>(bit)));
    }
    double total = total_ * std::exp(top_ - top);
    for (unsigned bit = kLanes / 2; bit > 0; bit /= 2) {
      total += __shfl_xor_sync(~0U, total, static_cast<int>(bit));
    }
    return top + std::log(total);
  }

 private:
  double top_ = std::numeric_limits<double>::lowest();  // finite: infinities would cancel to NaN
  double total_ = 0;
};

// What one component has to do with a row's target.
struct Term {
  double log_prior, log_joint;  // of the component, and of it and the target
  LogisticComponent component;
};

template <class T>
__device__ Term term_of(const T* parameters, std::int64_t count, std::int64_t k, double normaliser,
                        double target) {
  const double log_prior = static_cast<double>(parameters[k]) - normaliser;
  const LogisticComponent component =
      logistic_component(target, static_cast<double>(parameters[count + k]),
                         static_cast<double>(parameters[2 * count + k]));
  return {log_prior, log_prior + component.log_p, component};
}

std::int64_t chunks_of(const LogisticMixtureForwardArgs& args) {
  return (args.targets.elements() + kRows - 1) / kRows;
}

}  // namespace

// partial[b] = the sum of -log p(target) over the rows of block b. gradient: null if not wanted.
template <class T>
__global__ void mixture_rows(const T* parameters, const float* targets, double* partial,
                             T* gradient, std::int64_t components, std::int64_t rows) {
  TARN_SHARED(double[kThreads], sums);
  const std::int64_t lane = threadIdx.x % kLanes;
  const std::int64_t r = std::int64_t{blockIdx.x} * kRows + threadIdx.x / kLanes;
  const bool present = r < rows;  // the last block may have fewer: their threads only take part
  const std::int64_t count = present ? components : 0;
  const T* row = parameters + r * 3 * components;
  const double target = present ? static_cast<double>(targets[r]) : 0;

  LogSumExp logits, joint;
  for (std::int64_t k = lane; k < count; k += kLanes) logits.add(static_cast<double>(row[k]));
  const double normaliser = logits.of_row();
  Term term{};
  for (std::int64_t k = lane; k < count; k += kLanes) {
    term = term_of(row, count, k, normaliser, target);
    joint.add(term.log_joint);
  }
  const double log_p = joint.of_row();
  const double total = block_sum(present && lane == 0 ? -log_p : 0, sums);
  if (threadIdx.x == 0) partial[blockIdx.x] = total;
  if (gradient == nullptr) return;

  T* grad = gradient + r * 3 * components;
  const double share = 1 / static_cast<double>(rows);
  for (std::int64_t k = lane; k < count; k += kLanes) {
    // A thread's only component is still at hand; several are computed again.
    if (count > kLanes) term = term_of(row, count, k, normaliser, target);
    const double posterior = std::exp(term.log_joint - log_p);
    grad[k] = static_cast<T>(share * (std::exp(term.log_prior) - posterior));
    grad[count + k] = static_cast<T>(-share * posterior * term.component.by_mean);
    grad[2 * count + k] = static_cast<T>(-share * posterior * term.component.by_log_scale);
  }
}

template <class T>
__global__ void mean_of_rows(const double* partial, std::int64_t chunks, std::int64_t rows,
                             double* totals, T* loss) {
  TARN_SHARED(double[kThreads], sums);
  const double total = block_sum_of(partial, chunks, sums);
  if (threadIdx.x != 0) return;
  totals[0] = total;
  totals[1] = static_cast<double>(rows);
  *loss = static_cast<T>(total / static_cast<double>(rows));
}

template <class T>
__global__ void scale_gradient(const T* gradient, const T* grad_loss, T* grad, T beta,
                               std::int64_t n) {
  for (std::int64_t i = first_element(); i < n; i += all_threads()) {
    const T scaled = *grad_loss * gradient[i];
    grad[i] = beta == T(0) ? scaled : beta * grad[i] + scaled;
  }
}

std::int64_t logistic_mixture_forward_scratch_bytes(const LogisticMixtureForwardArgs& args) {
  return std::int64_t{sizeof(double)} * chunks_of(args);
}

void logistic_mixture_forward(const LogisticMixtureForwardArgs& args, Scratch scratch) {
  with_float_type(args.parameters.dtype(), [&](auto zero) {
    using T = decltype(zero);
    auto* partial = scratch.as<double>();
    const std::int64_t rows = args.targets.elements(), chunks = chunks_of(args);
    const Device device = args.parameters.device();
    if (chunks > 0) {
      TARN_LAUNCH((mixture_rows<T>), dim3(static_cast<unsigned>(chunks)), kThreads, 0, device,
                  args.parameters.data<T>(), args.targets.data<float>(), partial,
                  args.gradient.defined() ? args.gradient.mutable_data<T>() : nullptr,
                  args.parameters.size(-1) / 3, rows);
    }
    TARN_LAUNCH((mean_of_rows<T>), 1, kThreads, 0, device, partial, chunks, rows,
                args.totals.mutable_data<double>(), args.loss.mutable_data<T>());
  });
}

void logistic_mixture_backward(const LogisticMixtureBackwardArgs& args, Scratch /*none*/) {
  const std::int64_t n = args.gradient.elements();
  if (n == 0) return;
  with_float_type(args.gradient.dtype(), [&](auto zero) {
    using T = decltype(zero);
    TARN_LAUNCH((scale_gradient<T>), blocks_for(n), kThreads, 0, args.grad_parameters.device(),
                args.gradient.data<T>(), args.grad_loss.data<T>(),
                args.grad_parameters.mutable_data<T>(), args.beta, n);
  });
}

}  // namespace tarn::kernels::cuda
