// The states of an utterance and the sums over ways to spell it (kernels/ctc.h), in f64.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "kernels/common/device.h"
#include "kernels/ctc.h"

namespace tarn::kernels {

constexpr double kNever = -std::numeric_limits<double>::infinity();  // log 0

// log(exp a + exp b + exp c). The result is a NaN if any of them is.
TARN_DEVICE inline double log_sum(double a, double b, double c) {
  const double top = std::max(std::max(a, b), c);
  if (!(top > kNever)) return a + b + c;
  return top + std::log(std::exp(a - top) + std::exp(b - top) + std::exp(c - top));
}

// What the kernels' arguments have in common, as one that a kernel of any device can be given.
template <class T>
struct CtcBatch {
  template <class Args>
  explicit CtcBatch(const Args& args)
      : count(args.logits.size(0)),
        frames(args.logits.size(1)),
        classes(args.logits.size(2)),
        most_labels(args.labels.size(1)),
        logits(args.logits.template data<T>()),
        labels(args.labels.template data<std::int32_t>()),
        frame_lengths(args.frame_lengths.template data<std::int32_t>()),
        label_lengths(args.label_lengths.template data<std::int32_t>()),
        normalisers(args.normalisers.template mutable_data<double>()),
        alpha(args.alpha.template mutable_data<double>()),
        per_label(args.per_label) {}

  TARN_DEVICE std::int64_t most_states() const { return 2 * most_labels + 1; }
  // Of an utterance's loss in the sum of all.
  TARN_DEVICE double share(std::int64_t n) const {
    if (!per_label) return 1;
    const std::int64_t own_labels = label_lengths[n];
    return 1 / static_cast<double>(std::max<std::int64_t>(1, own_labels));
  }

  std::int64_t count, frames, classes, most_labels;
  const T* logits;
  const std::int32_t *labels, *frame_lengths, *label_lengths;
  double *normalisers, *alpha;
  bool per_label;
};

// One utterance of a batch. A state is a place in its labels with blanks around: state 2i + 1 is
// label i, the even ones are blanks.
template <class T>
struct CtcUtterance {
  TARN_DEVICE CtcUtterance(const CtcBatch<T>& batch, std::int64_t n)
      : classes(batch.classes),
        frames(batch.frame_lengths[n]),
        label_count(batch.label_lengths[n]),
        row(batch.most_states()),
        logits(batch.logits + n * batch.frames * classes),
        labels(batch.labels + n * batch.most_labels),
        normalisers(batch.normalisers + n * batch.frames),
        alpha(batch.alpha + n * batch.frames * row) {}

  TARN_DEVICE std::int64_t states() const { return 2 * label_count + 1; }
  TARN_DEVICE std::int64_t class_of(std::int64_t s) const { return s % 2 == 0 ? 0 : labels[s / 2]; }
  // Whether state s may follow state s - 2: over a blank, between two labels that differ.
  TARN_DEVICE bool skips_to(std::int64_t s) const {
    return s % 2 == 1 && s >= 3 && labels[s / 2] != labels[s / 2 - 1];
  }
  TARN_DEVICE double emission(std::int64_t t, std::int64_t s) const {
    return static_cast<double>(logits[t * classes + class_of(s)]) - normalisers[t];
  }

  // Whether the lengths and labels are what ctc_forward wants, before anything is looked up by
  // them.
  TARN_DEVICE bool valid(const CtcBatch<T>& batch) const {
    if (frames < 0 || frames > batch.frames) return false;
    if (label_count < 0 || label_count > batch.most_labels) return false;
    for (std::int64_t i = 0; i < label_count; ++i) {
      if (labels[i] < 1 || labels[i] >= classes) return false;
    }
    return true;
  }

  TARN_DEVICE bool fits() const {
    std::int64_t needed = label_count;
    for (std::int64_t i = 1; i < label_count; ++i) needed += labels[i] == labels[i - 1] ? 1 : 0;
    return frames >= needed;
  }

  // alpha[t, s], given that of frame t - 1: the log-probability of frames 0 .. t spelling the
  // states up to s.
  TARN_DEVICE double alpha_of(std::int64_t t, std::int64_t s) const {
    if (t == 0) return s < 2 ? emission(0, s) : kNever;
    const double* before = alpha + (t - 1) * row;
    return log_sum(before[s], s > 0 ? before[s - 1] : kNever,
                   skips_to(s) ? before[s - 2] : kNever) +
           emission(t, s);
  }

  // The utterance's loss, given alpha of its last frame.
  TARN_DEVICE double loss() const {
    const double* last = alpha + (frames - 1) * row;
    return -log_sum(last[states() - 1], states() > 1 ? last[states() - 2] : kNever, kNever);
  }

  // The log-probability of the frames after t, from state s at t. `after` is the same of frame
  // t + 1; not read for the last frame.
  TARN_DEVICE double beta_of(std::int64_t t, std::int64_t s, const double* after) const {
    if (t == frames - 1) return s + 2 >= states() ? 0 : kNever;
    const auto via = [&](std::int64_t to) { return after[to] + emission(t + 1, to); };
    return log_sum(via(s), s + 1 < states() ? via(s + 1) : kNever,
                   s + 2 < states() && skips_to(s + 2) ? via(s + 2) : kNever);
  }

  std::int64_t classes, frames, label_count, row;
  const T* logits;
  const std::int32_t* labels;
  double *normalisers, *alpha;
};

}  // namespace tarn::kernels
