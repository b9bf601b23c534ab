// A bidirectional LSTM layer as its formulas say, in f64 and plain loops, for tensors of any dtype.
#pragma once

#include <array>
#include <cmath>

#include "tests/reference/ops.h"

namespace tarn::reference {

// weight_ih [4 H, in], weight_hh [4 H, H], bias_ih, bias_hh [4 H]; gates in the order i, f, g, o.
using LstmWeights = std::array<Tensor, 4>;

inline double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// One step of one sequence: hidden and cell are updated. The weights as above, row by row.
inline void lstm_step(const Values& x, const std::array<Values, 4>& weights, Values& hidden,
                      Values& cell) {
  const std::size_t width = hidden.size();
  Values sums(4 * width);
  for (std::size_t g = 0; g < 4 * width; ++g) {
    sums[g] = weights[2][g] + weights[3][g];
    for (std::size_t i = 0; i < x.size(); ++i) sums[g] += weights[0][g * x.size() + i] * x[i];
    for (std::size_t i = 0; i < width; ++i) sums[g] += weights[1][g * width + i] * hidden[i];
  }
  for (std::size_t u = 0; u < width; ++u) {
    const auto gate = [&](std::size_t g) { return sums[g * width + u]; };
    cell[u] = sigmoid(gate(1)) * cell[u] + sigmoid(gate(0)) * std::tanh(gate(2));
    hidden[u] = sigmoid(gate(3)) * std::tanh(cell[u]);
  }
}

// x [N, T, in] to [N, T, 2 H]; `lengths` [N] or undefined for T.
inline Tensor bi_lstm(const Tensor& x, const Tensor& lengths, const LstmWeights& forward,
                      const LstmWeights& reverse) {
  const std::int64_t width = forward[1].size(1), frames = x.size(1);
  const Tensor out = test::full({x.size(0), frames, 2 * width}, DType::f64, 0);
  for (const std::int64_t direction : {0, 1}) {
    std::array<Values, 4> weights;
    for (std::size_t i = 0; i < 4; ++i) {
      weights[i] = test::to_vector(direction == 0 ? forward[i] : reverse[i]);
    }
    for (std::int64_t n = 0; n < x.size(0); ++n) {
      const auto length =
          lengths.defined() ? static_cast<std::int64_t>(test::get(lengths, n)) : frames;
      Values hidden(at(width)), cell(at(width));
      for (std::int64_t s = 0; s < length; ++s) {
        const std::int64_t t = direction == 0 ? s : length - 1 - s;
        lstm_step(test::to_vector(x.select(0, n).select(0, t)), weights, hidden, cell);
        for (std::int64_t u = 0; u < width; ++u) {
          test::set(out, {n, t, direction * width + u}, hidden[at(u)]);
        }
      }
    }
  }
  return out;
}

}  // namespace tarn::reference
