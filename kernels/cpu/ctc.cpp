#include "kernels/ctc.h"

#include <cmath>
#include <limits>

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/scratch.h"
#include "kernels/dtype_switch.h"
#include "kernels/table.h"

namespace tarn::kernels::cpu {
namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();  // log 0

// log(exp a + exp b + exp c). The result is a NaN if any of them is.
double log_sum(double a, double b, double c) {
  const double top = std::max(std::max(a, b), c);
  if (!(top > kNever)) return a + b + c;
  return top + std::log(std::exp(a - top) + std::exp(b - top) + std::exp(c - top));
}

// One utterance of a batch. A state is a place in its labels with blanks around: state 2i + 1 is
// label i, the even ones are blanks.
template <class T>
struct Utterance {
  template <class Args>
  Utterance(const Args& args, std::int64_t n)
      : classes(args.logits.size(2)),
        frames(args.frame_lengths.template data<std::int32_t>()[n]),
        label_count(args.label_lengths.template data<std::int32_t>()[n]),
        row(args.alpha.size(2)),
        logits(args.logits.template data<T>() + n * args.logits.size(1) * classes),
        labels(args.labels.template data<std::int32_t>() + n * args.labels.size(1)),
        normalisers(args.normalisers.template mutable_data<double>() + n * args.logits.size(1)),
        alpha(args.alpha.template mutable_data<double>() + n * args.logits.size(1) * row) {}

  std::int64_t states() const { return 2 * label_count + 1; }
  std::int64_t class_of(std::int64_t s) const { return s % 2 == 0 ? 0 : labels[s / 2]; }
  // Whether state s may follow state s - 2: over a blank, between two labels that differ.
  bool skips_to(std::int64_t s) const {
    return s % 2 == 1 && s >= 3 && labels[s / 2] != labels[s / 2 - 1];
  }
  double emission(std::int64_t t, std::int64_t s) const {
    return static_cast<double>(logits[t * classes + class_of(s)]) - normalisers[t];
  }

  bool fits() const {
    std::int64_t needed = label_count;
    for (std::int64_t i = 1; i < label_count; ++i) needed += labels[i] == labels[i - 1] ? 1 : 0;
    return frames >= needed;
  }
  double share(bool per_label) const {
    return per_label ? 1 / static_cast<double>(std::max<std::int64_t>(1, label_count)) : 1;
  }

  std::int64_t classes, frames, label_count, row;
  const T* logits;
  const std::int32_t* labels;
  double *normalisers, *alpha;
};

template <class T>
void normalise(const Utterance<T>& u) {
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

// alpha[t, s]: the log-probability of frames 0 .. t spelling the states up to s. Returns the loss.
template <class T>
double run_forward(const Utterance<T>& u) {
  if (!u.fits()) return -kNever;
  if (u.frames == 0) return 0;
  const std::int64_t states = u.states();
  for (std::int64_t s = 0; s < states; ++s) u.alpha[s] = s < 2 ? u.emission(0, s) : kNever;
  for (std::int64_t t = 1; t < u.frames; ++t) {
    const double* before = u.alpha + (t - 1) * u.row;
    double* now = u.alpha + t * u.row;
    for (std::int64_t s = 0; s < states; ++s) {
      now[s] = log_sum(before[s], s > 0 ? before[s - 1] : kNever,
                       u.skips_to(s) ? before[s - 2] : kNever) +
               u.emission(t, s);
    }
  }
  const double* last = u.alpha + (u.frames - 1) * u.row;
  return -log_sum(last[states - 1], states > 1 ? last[states - 2] : kNever, kNever);
}

// now[s]: the log-probability of the frames after t, from state s at t; `after` is the same of
// frame t + 1.
template <class T>
void step_back(const Utterance<T>& u, std::int64_t t, const double* after, double* now) {
  const std::int64_t states = u.states();
  const auto via = [&](std::int64_t s) { return after[s] + u.emission(t + 1, s); };
  for (std::int64_t s = 0; s < states; ++s) {
    now[s] = log_sum(via(s), s + 1 < states ? via(s + 1) : kNever,
                     s + 2 < states && u.skips_to(s + 2) ? via(s + 2) : kNever);
  }
}

// The gradient is softmax(logits) less the probability of being at each class, given the labels.
template <class T>
void run_backward(const Utterance<T>& u, double loss, double share, double beta, T* grad) {
  const std::int64_t states = u.states();
  double* now = thread_scratch<double>(2 * states + u.classes);
  double* after = now + states;
  double* expected = after + states;
  for (std::int64_t t = u.frames - 1; t >= 0; --t) {
    if (t == u.frames - 1) {
      for (std::int64_t s = 0; s < states; ++s) now[s] = s + 2 >= states ? 0 : kNever;
    } else {
      std::swap(now, after);
      step_back(u, t, after, now);
    }
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
  const std::int64_t batch = args.logits.size(0);
  double* losses = args.losses.mutable_data<double>();
  parallel_for(batch, [&](std::int64_t n) {
    const Utterance<T> u(args, n);
    normalise(u);
    losses[n] = run_forward(u);
  });
  double* totals = args.totals.mutable_data<double>();
  totals[0] = totals[1] = 0;
  for (std::int64_t n = 0; n < batch; ++n) {
    if (losses[n] == -kNever) continue;
    totals[0] += losses[n] * Utterance<T>(args, n).share(args.per_label);
    totals[1] += 1;
  }
  *args.loss.mutable_data<T>() = static_cast<T>(totals[1] > 0 ? totals[0] / totals[1] : 0);
}

template <class T>
void backward(const CtcBackwardArgs& args) {
  const double* losses = args.losses.data<double>();
  const double* totals = args.totals.data<double>();
  const auto grad_loss = static_cast<double>(*args.grad_loss.data<T>());
  const std::int64_t elements = args.logits.size(1) * args.logits.size(2);
  parallel_for(args.logits.size(0), [&](std::int64_t n) {
    const Utterance<T> u(args, n);
    T* grad = args.grad_logits.mutable_data<T>() + n * elements;
    const bool counts = losses[n] != -kNever;
    if (counts) {
      const double share = grad_loss / totals[1] * u.share(args.per_label);
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
