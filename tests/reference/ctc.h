// CTC as the textbook has it, in f64: probabilities and not their logarithms, so for short
// utterances; and by its definition, over every path there is.
#pragma once

#include <cmath>
#include <limits>
#include <vector>

#include "tests/reference/ops.h"

namespace tarn::reference {

using Labels = std::vector<int>;

// Each frame's softmax: [T, C], of which the first `frames` rows count.
inline std::vector<Values> ctc_probabilities(const Tensor& logits, std::int64_t frames) {
  std::vector<Values> rows;
  for (std::int64_t t = 0; t < frames; ++t) {
    Values row;
    for (std::int64_t c = 0; c < logits.size(1); ++c) row.push_back(test::get(logits, {t, c}));
    const double top = *std::max_element(row.begin(), row.end());
    double total = 0;
    for (double& x : row) total += x = std::exp(x - top);
    for (double& x : row) x /= total;
    rows.push_back(row);
  }
  return rows;
}

// What a path spells: repeats made one, then the blanks left out.
inline Labels ctc_collapse(const Labels& path) {
  Labels labels;
  for (std::size_t t = 0; t < path.size(); ++t) {
    if (path[t] != 0 && (t == 0 || path[t] != path[t - 1])) labels.push_back(path[t]);
  }
  return labels;
}

// Calls visit(path, probability) for each of the C^T paths.
template <class Visit>
void ctc_paths(const std::vector<Values>& probabilities, std::size_t classes, const Visit& visit) {
  Labels path(probabilities.size(), 0);
  while (true) {
    double p = 1;
    for (std::size_t t = 0; t < path.size(); ++t) p *= probabilities[t][at(path[t])];
    visit(path, p);
    std::size_t t = 0;
    while (t < path.size() && ++path[t] == static_cast<int>(classes)) path[t++] = 0;
    if (t == path.size()) return;
  }
}

// -log p(labels) by the definition.
inline double ctc_by_paths(const Tensor& logits, std::int64_t frames, const Labels& labels) {
  double total = 0;
  ctc_paths(ctc_probabilities(logits, frames), at(logits.size(1)),
            [&](const Labels& path, double p) { total += ctc_collapse(path) == labels ? p : 0; });
  return -std::log(total);
}

struct CtcUtterance {
  double loss = 0;           // infinite if there is no path
  std::vector<Values> grad;  // d loss / d logits, for the frames that count
};

// Graves et al. (2006), section 4: alpha and beta both with the emission of their own frame.
inline CtcUtterance ctc_utterance(const Tensor& logits, std::int64_t frames, const Labels& labels) {
  const std::vector<Values> y = ctc_probabilities(logits, frames);
  Labels states{0};
  for (const int label : labels) states.insert(states.end(), {label, 0});
  const std::size_t count = states.size(), length = y.size();
  if (length == 0) return {labels.empty() ? 0 : std::numeric_limits<double>::infinity(), {}};
  const auto may_skip = [&](std::size_t s) {
    return s >= 2 && states[s] != 0 && states[s] != states[s - 2];
  };
  std::vector<Values> alpha(length, Values(count)), beta = alpha;
  for (std::size_t s = 0; s < std::min<std::size_t>(2, count); ++s) {
    alpha[0][s] = y[0][at(states[s])];
    beta[length - 1][count - 1 - s] = y[length - 1][at(states[count - 1 - s])];
  }
  for (std::size_t t = 1; t < length; ++t) {
    for (std::size_t s = 0; s < count; ++s) {
      double sum = alpha[t - 1][s];
      if (s >= 1) sum += alpha[t - 1][s - 1];
      if (may_skip(s)) sum += alpha[t - 1][s - 2];
      alpha[t][s] = sum * y[t][at(states[s])];
    }
  }
  for (std::size_t t = length - 1; t-- > 0;) {
    for (std::size_t s = 0; s < count; ++s) {
      double sum = beta[t + 1][s];
      if (s + 1 < count) sum += beta[t + 1][s + 1];
      if (s + 2 < count && may_skip(s + 2)) sum += beta[t + 1][s + 2];
      beta[t][s] = sum * y[t][at(states[s])];
    }
  }
  double p = alpha[length - 1][count - 1];
  if (count > 1) p += alpha[length - 1][count - 2];
  CtcUtterance out{-std::log(p), y};
  for (std::size_t t = 0; t < length; ++t) {
    for (std::size_t s = 0; s < count; ++s) {
      const std::size_t c = at(states[s]);
      if (p > 0) out.grad[t][c] -= alpha[t][s] * beta[t][s] / (p * y[t][c]);
    }
  }
  return out;
}

struct Ctc {
  Tensor losses, loss, grad;
};

inline Ctc ctc(const Tensor& logits, const Tensor& labels, const Tensor& frame_lengths,
               const Tensor& label_lengths, bool per_label = false) {
  const std::int64_t batch = logits.size(0);
  Values losses;
  Tensor grad = test::full(logits.shape(), DType::f64, 0);
  double total = 0, counted = 0;
  std::vector<CtcUtterance> utterances;
  Values shares;
  for (std::int64_t n = 0; n < batch; ++n) {
    Labels expected;
    for (std::int64_t i = 0; i < static_cast<std::int64_t>(test::get(label_lengths, n)); ++i) {
      expected.push_back(static_cast<int>(test::get(labels, {n, i})));
    }
    utterances.push_back(ctc_utterance(
        logits.select(0, n), static_cast<std::int64_t>(test::get(frame_lengths, n)), expected));
    losses.push_back(utterances.back().loss);
    shares.push_back(
        per_label ? 1.0 / static_cast<double>(std::max<std::size_t>(1, expected.size())) : 1.0);
    if (std::isinf(losses.back())) continue;
    total += losses.back() * shares.back();
    counted += 1;
  }
  for (std::int64_t n = 0; n < batch; ++n) {
    if (std::isinf(losses[at(n)])) continue;
    const auto& rows = utterances[at(n)].grad;
    for (std::size_t t = 0; t < rows.size(); ++t) {
      for (std::size_t c = 0; c < rows[t].size(); ++c) {
        test::set(grad, {n, static_cast<std::int64_t>(t), static_cast<std::int64_t>(c)},
                  rows[t][c] * shares[at(n)] / counted);
      }
    }
  }
  return {test::from_vector({batch}, losses),
          test::from_vector({}, {counted > 0 ? total / counted : 0}), grad};
}

}  // namespace tarn::reference
