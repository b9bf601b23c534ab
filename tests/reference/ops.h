// The other ops as their formulas say, in f64 and plain loops, for tensors of any dtype and
// strides.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <vector>

#include "core/rng.h"
#include "core/tensor.h"
#include "kernels/unary.h"
#include "tests/support/random_tensor.h"

namespace tarn::reference {

using kernels::Unary;
using Values = std::vector<double>;

inline std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

inline double activation(Unary op, double x) {
  switch (op) {
    case Unary::identity:
      return x;
    case Unary::relu:
      return x > 0 ? x : 0;
    case Unary::gelu:
      return x * 0.5 * std::erfc(-x / std::numbers::sqrt2);
    case Unary::elu_plus_one:
      return x > 0 ? x + 1 : std::exp(x);
  }
  return x;
}

inline Tensor unary(const Tensor& x, Unary op) {
  Values values = test::to_vector(x);
  for (double& value : values) value = activation(op, value);
  return test::from_vector(x.shape(), values);
}

// What dropout multiplies element i of a stream by.
inline double dropout_factor(double probability, const RngAddress& address, std::int64_t i) {
  if (probability == 0) return 1;
  const bool kept =
      random_bits(address, static_cast<std::uint64_t>(i)) >= random_threshold(probability);
  return kept ? 1 / (1 - probability) : 0;
}

inline Tensor dropout(const Tensor& x, double probability, const RngAddress& address) {
  Values values = test::to_vector(x);
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] *= dropout_factor(probability, address, static_cast<std::int64_t>(i));
  }
  return test::from_vector(x.shape(), values);
}

// op(a) op(b), where op transposes if told.
inline Tensor matmul(const Tensor& a_in, const Tensor& b_in, bool transpose_a = false,
                     bool transpose_b = false) {
  const Tensor a_view = transpose_a ? a_in.transpose(0, 1) : a_in;
  const Tensor b_view = transpose_b ? b_in.transpose(0, 1) : b_in;
  const std::int64_t rows = a_view.size(0), inner = a_view.size(1), columns = b_view.size(1);
  const Values a = test::to_vector(a_view), b = test::to_vector(b_view);
  Values out(at(rows * columns));
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t k = 0; k < inner; ++k) {
      for (std::int64_t c = 0; c < columns; ++c) {
        out[at(r * columns + c)] += a[at(r * inner + k)] * b[at(k * columns + c)];
      }
    }
  }
  return test::from_vector({rows, columns}, out);
}

// dropout(activation(x weight^T + bias)).
inline Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias, Unary op = {},
                     double probability = 0, const RngAddress& address = {}) {
  const std::int64_t width = x.size(-1);
  const Tensor rows = test::from_vector({x.elements() / width, width}, test::to_vector(x));
  const Tensor product = matmul(rows, weight, false, true);
  Values out = test::to_vector(product);
  for (std::size_t i = 0; i < out.size(); ++i) {
    const auto flat = static_cast<std::int64_t>(i);
    if (bias.defined()) out[i] += test::get(bias, flat % weight.size(0));
    out[i] = activation(op, out[i]) * dropout_factor(probability, address, flat);
  }
  return test::from_vector(x.shape().without_last().with(weight.size(0)), out);
}

struct LayerNorm {
  Tensor out, sum, mean, rstd;
};

// Of x + dropout(branch), or of x alone.
inline LayerNorm layer_norm(const Tensor& x, const Tensor& branch, const Tensor& weight,
                            const Tensor& bias, double eps, double probability = 0,
                            const RngAddress& address = {}) {
  const std::int64_t width = x.size(-1), rows = x.elements() / width;
  Values sum = test::to_vector(x), out = sum, mean(at(rows)), rstd(at(rows));
  if (branch.defined()) {
    const Values dropped = test::to_vector(dropout(branch, probability, address));
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += dropped[i];
  }
  for (std::int64_t r = 0; r < rows; ++r) {
    const double* row = sum.data() + r * width;
    double total = 0, squares = 0;
    for (std::int64_t i = 0; i < width; ++i) total += row[i];
    mean[at(r)] = total / static_cast<double>(width);
    for (std::int64_t i = 0; i < width; ++i) squares += std::pow(row[i] - mean[at(r)], 2);
    rstd[at(r)] = 1 / std::sqrt(squares / static_cast<double>(width) + eps);
    for (std::int64_t i = 0; i < width; ++i) {
      out[at(r * width + i)] =
          (row[i] - mean[at(r)]) * rstd[at(r)] * test::get(weight, i) + test::get(bias, i);
    }
  }
  return {test::from_vector(x.shape(), out), test::from_vector(x.shape(), sum),
          test::from_vector({rows}, mean), test::from_vector({rows}, rstd)};
}

inline Tensor embedding(const Tensor& tokens, const Tensor& weight) {
  Values out;
  for (std::int64_t i = 0; i < tokens.elements(); ++i) {
    const auto token = static_cast<std::int64_t>(test::get(tokens, i));
    for (std::int64_t w = 0; w < weight.size(1); ++w) {
      out.push_back(test::get(weight, {token, w}));
    }
  }
  return test::from_vector(tokens.shape().with(weight.size(1)), out);
}

struct CrossEntropy {
  Tensor totals;  // f64 [3]: the kernel's
  Tensor loss;    // a scalar
  Tensor grad;    // d loss / d logits
};

inline CrossEntropy cross_entropy(const Tensor& logits, const Tensor& targets,
                                  const Tensor& weights) {
  const std::int64_t classes = logits.size(-1), rows = targets.elements();
  const Values x = test::to_vector(logits);
  Values grad(x.size()), totals(3);
  for (std::int64_t r = 0; r < rows; ++r) {
    const double* row = x.data() + r * classes;
    const double weight = test::get(weights, r);
    if (weight == 0) continue;
    const auto target = static_cast<std::int64_t>(test::get(targets, r));
    const double* largest = std::max_element(row, row + classes);
    double sum = 0;
    for (std::int64_t c = 0; c < classes; ++c) sum += std::exp(row[c] - *largest);
    totals[0] += weight * (*largest + std::log(sum) - row[target]);
    totals[1] += weight;
    totals[2] += largest - row == target ? weight : 0;
    for (std::int64_t c = 0; c < classes; ++c) {
      const double p = std::exp(row[c] - *largest) / sum;
      grad[at(r * classes + c)] = weight * (p - (c == target ? 1 : 0));
    }
  }
  for (double& g : grad) g /= totals[1];
  return {test::from_vector({3}, totals), test::from_vector({}, {totals[0] / totals[1]}),
          test::from_vector(logits.shape(), grad)};
}

// Any view, copied into row-major order.
inline Tensor copy(const Tensor& x) { return test::cast(x, DType::f64); }

inline Tensor concat(const Tensor& a, const Tensor& b) {
  Tensor out = Tensor::empty(a.shape().without_last().with(a.size(-1) + b.size(-1)), DType::f64,
                             Device::cpu());
  for (const auto& [from, to] : {std::pair{a, out.slice(-1, 0, a.size(-1))},
                                 std::pair{b, out.slice(-1, a.size(-1), b.size(-1))}}) {
    for (std::int64_t i = 0; i < from.elements(); ++i) test::set(to, i, test::get(from, i));
  }
  return out;
}

}  // namespace tarn::reference
