#include "kernels/cross_entropy.h"

#include <cmath>

#include "kernels/cpu/parallel.h"
#include "kernels/dtype_switch.h"
#include "kernels/table.h"

namespace tarn::kernels::cpu {
namespace {

// A chunk of the sums over rows. The chunks' sums are added in order.
constexpr std::int64_t kRows = 256;

template <class T>
double log_sum_exp(const T* logits, std::int64_t classes, std::int64_t& largest) {
  largest = 0;
  for (std::int64_t c = 1; c < classes; ++c) {
    if (logits[c] > logits[largest]) largest = c;
  }
  const double top = static_cast<double>(logits[largest]);
  double total = 0;
  for (std::int64_t c = 0; c < classes; ++c) {
    total += std::exp(static_cast<double>(logits[c]) - top);
  }
  return top + std::log(total);
}

template <class T>
void forward(const CrossEntropyForwardArgs& args, double* partial) {
  const std::int64_t classes = args.logits.size(-1);
  const std::int64_t rows = args.targets.elements();
  const T* logits = args.logits.data<T>();
  const std::int32_t* targets = args.targets.data<std::int32_t>();
  const T* weights = args.weights.data<T>();
  parallel_chunks(rows, kRows, [&](std::int64_t first, std::int64_t last) {
    double loss = 0, weight_sum = 0, correct = 0;
    for (std::int64_t r = first; r < last; ++r) {
      const double weight = static_cast<double>(weights[r]);
      if (weight == 0) continue;
      std::int64_t largest = 0;
      const T* row = logits + r * classes;
      const double normaliser = log_sum_exp(row, classes, largest);
      loss += weight * (normaliser - static_cast<double>(row[targets[r]]));
      weight_sum += weight;
      // In a row with a NaN no logit is the largest.
      if (largest == targets[r] && !std::isnan(normaliser)) correct += weight;
    }
    double* sums = partial + 3 * (first / kRows);
    sums[0] = loss;
    sums[1] = weight_sum;
    sums[2] = correct;
  });
  double* totals = args.totals.mutable_data<double>();
  std::fill_n(totals, 3, 0.0);
  for (std::int64_t c = 0; c * kRows < rows; ++c) {
    for (int i = 0; i < 3; ++i) totals[i] += partial[3 * c + i];
  }
  *args.loss.mutable_data<T>() = static_cast<T>(totals[0] / totals[1]);
}

template <class T>
void backward(const CrossEntropyBackwardArgs& args) {
  const std::int64_t classes = args.logits.size(-1);
  const T* logits = args.logits.data<T>();
  const std::int32_t* targets = args.targets.data<std::int32_t>();
  const T* weights = args.weights.data<T>();
  T* grad = args.grad_logits.mutable_data<T>();
  const double share =
      static_cast<double>(*args.grad_loss.data<T>()) / args.totals.data<double>()[1];
  parallel_chunks(args.targets.elements(), kRows, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r = first; r < last; ++r) {
      const T* row = logits + r * classes;
      T* to = grad + r * classes;
      const double weight = share * static_cast<double>(weights[r]);
      std::int64_t largest = 0;
      const double normaliser = weight == 0 ? 0 : log_sum_exp(row, classes, largest);
      for (std::int64_t c = 0; c < classes; ++c) {
        double g = 0;
        if (weight != 0) {
          const double p = std::exp(static_cast<double>(row[c]) - normaliser);
          g = weight * (p - (c == targets[r] ? 1.0 : 0.0));
        }
        to[c] = static_cast<T>(args.beta == 0 ? g : args.beta * static_cast<double>(to[c]) + g);
      }
    }
  });
}

}  // namespace

std::int64_t cross_entropy_forward_scratch_bytes(const CrossEntropyForwardArgs& args) {
  return std::int64_t{sizeof(double)} * 3 * ((args.targets.elements() + kRows - 1) / kRows);
}

void cross_entropy_forward(const CrossEntropyForwardArgs& args, Scratch scratch) {
  with_float_type(args.logits.dtype(),
                  [&](auto zero) { forward<decltype(zero)>(args, scratch.as<double>()); });
}

void cross_entropy_backward(const CrossEntropyBackwardArgs& args) {
  with_float_type(args.logits.dtype(), [&](auto zero) { backward<decltype(zero)>(args); });
}

}  // namespace tarn::kernels::cpu
