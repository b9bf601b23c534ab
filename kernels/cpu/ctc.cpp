#include "kernels/common/ctc.h"

#include <algorithm>
#include <cmath>

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/scratch.h"
#include "kernels/dtype_switch.h"
#include "kernels/table.h"

namespace tarn::kernels::cpu {
namespace {

template <class T>
void normalise(const CtcUtterance<T>& u) {
  for (std::int64_t t = 0; t < u.frames; ++t) {
    const T* row = u.logits + t * u.classes;
    const auto top = static_cast<double>(*std::max_element(row, row + u.classes));
    double total = 0;
    for (std::int64_t c = 0; c < u.classes; ++c) {
      total += std::exp(static_cast<double>(row[c]) - top);
    }
    u.normalisers[t] = top + std::log(total);
  }
}

// Fills alpha and returns the loss.
template <class T>
double run_forward(const CtcUtterance<T>& u) {
  if (!u.fits()) return -kNever;
  if (u.frames == 0) return 0;
  for (std::int64_t t = 0; t < u.frames; ++t) {
    double* now = u.alpha + t * u.row;
    for (std::int64_t s = 0; s < u.states(); ++s) now[s] = u.alpha_of(t, s);
  }
  return u.loss();
}

// The gradient is softmax(logits) minus the probability of each class at the frame, given the
// labels.
template <class T>
void run_backward(const CtcUtterance<T>& u, double loss, double share, double beta, T* grad) {
  const std::int64_t states = u.states();
  double* now = thread_scratch<double>(2 * states + u.classes);
  double* after = now + states;
  double* expected = after + states;
  for (std::int64_t t = u.frames - 1; t >= 0; --t) {
    std::swap(now, after);
    for (std::int64_t s = 0; s < states; ++s) now[s] = u.beta_of(t, s, after);
    std::fill_n(expected, u.classes, 0.0);
    for (std::int64_t s = 0; s < states; ++s) {
      expected[u.class_of(s)] += std::exp(u.alpha[t * u.row + s] + now[s] + loss);
    }
    for (std::int64_t c = 0; c < u.classes; ++c) {
      const std::int64_t i = t * u.classes + c;
      const double p = std::exp(static_cast<double>(u.logits[i]) - u.normalisers[t]);
      const double g = share * (p - expected[c]);
      grad[i] = static_cast<T>(beta == 0 ? g : beta * static_cast<double>(grad[i]) + g);
    }
  }
}

template <class T>
void scale_rest(T* grad, std::int64_t first, std::int64_t last, double beta) {
  for (std::int64_t i = first; i < last; ++i) {
    grad[i] = beta == 0 ? T{0} : static_cast<T>(beta * static_cast<double>(grad[i]));
  }
}

template <class T>
void forward(const CtcForwardArgs& args) {
  const CtcBatch<T> batch(args);
  double* losses = args.losses.mutable_data<double>();
  parallel_for(batch.count, [&](std::int64_t n) {
    const CtcUtterance<T> u(batch, n);
    normalise(u);
    losses[n] = run_forward(u);
  });
  double* totals = args.totals.mutable_data<double>();
  totals[0] = totals[1] = 0;
  for (std::int64_t n = 0; n < batch.count; ++n) {
    if (losses[n] == -kNever) continue;
    totals[0] += losses[n] * batch.share(n);
    totals[1] += 1;
  }
  *args.loss.mutable_data<T>() = static_cast<T>(totals[1] > 0 ? totals[0] / totals[1] : 0);
}

template <class T>
void backward(const CtcBackwardArgs& args) {
  const double* losses = args.losses.data<double>();
  const double* totals = args.totals.data<double>();
  const auto grad_loss = static_cast<double>(*args.grad_loss.data<T>());
  const CtcBatch<T> batch(args);
  const std::int64_t elements = batch.frames * batch.classes;
  parallel_for(batch.count, [&](std::int64_t n) {
    const CtcUtterance<T> u(batch, n);
    T* grad = args.grad_logits.mutable_data<T>() + n * elements;
    const bool counts = losses[n] != -kNever;
    if (counts) {
      const double share = grad_loss / totals[1] * batch.share(n);
      run_backward(u, losses[n], share, args.beta, grad);
    }
    scale_rest(grad, counts ? u.frames * u.classes : 0, elements, args.beta);
  });
}

}  // namespace

void ctc_forward(const CtcForwardArgs& args) {
  with_float_type(args.logits.dtype(), [&](auto zero) { forward<decltype(zero)>(args); });
}

void ctc_backward(const CtcBackwardArgs& args) {
  with_float_type(args.logits.dtype(), [&](auto zero) { backward<decltype(zero)>(args); });
}

}  // namespace tarn::kernels::cpu
