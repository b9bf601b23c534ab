// One step of an encoder in f64 and plain loops, for the kernel encoder_step.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "tests/reference/ops.h"
#include "tests/support/encoder_step_problem.h"

namespace tarn::reference {

using Row = std::vector<double>;

inline Row row_of(const Tensor& matrix, std::int64_t n) {
  return test::to_vector(matrix.select(0, n));
}

inline Row linear_row(const Row& x, const test::DenseLinear& layer) {
  Row out = test::to_vector(layer.bias);
  for (std::size_t o = 0; o < out.size(); ++o) {
    for (std::size_t i = 0; i < x.size(); ++i) out[o] += x[i] * layer.values[o * x.size() + i];
  }
  return out;
}

inline Row normalised(const Row& x, const kernels::NormWeights& norm) {
  const auto width = static_cast<double>(x.size());
  double mean = 0, variance = 0;
  for (const double v : x) mean += v / width;
  for (const double v : x) variance += (v - mean) * (v - mean) / width;
  Row out;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const auto at = static_cast<std::int64_t>(i);
    out.push_back((x[i] - mean) / std::sqrt(variance + norm.eps) * test::get(norm.weight, at) +
                  test::get(norm.bias, at));
  }
  return out;
}

// One head of one sequence at query, key and value; the state's elements move on.
inline Row attend(const test::EncoderStepSizes& s, const kernels::StepState& state, std::int64_t n,
                  std::int64_t h, const Row& query, const Row& key, const Row& value) {
  Row out(value.size());
  if (s.rule.kind == kernels::StepRule::Kind::causal_linear) {
    double denominator = s.rule.eps;
    for (std::int64_t e = 0; e < s.query_width; ++e) {
      const double q = activation(s.rule.feature_map, query[static_cast<std::size_t>(e)]);
      const double k = activation(s.rule.feature_map, key[static_cast<std::size_t>(e)]);
      const double z = test::get(state.second, {n, h, e}) + k;
      test::set(state.second, {n, h, e}, z);
      denominator += q * z;
      for (std::int64_t m = 0; m < s.value_width; ++m) {
        const auto at = static_cast<std::size_t>(m);
        const double sum = test::get(state.first, {n, h, e, m}) + k * value[at];
        test::set(state.first, {n, h, e, m}, sum);
        out[at] += q * sum;
      }
    }
    for (double& v : out) v /= denominator;
    return out;
  }
  for (std::int64_t e = 0; e < s.query_width; ++e) {
    test::set(state.first, {n, h, s.position, e}, key[static_cast<std::size_t>(e)]);
  }
  for (std::int64_t m = 0; m < s.value_width; ++m) {
    test::set(state.second, {n, h, s.position, m}, value[static_cast<std::size_t>(m)]);
  }
  double total = 0;
  for (std::int64_t t = 0; t <= s.position; ++t) {
    double score = 0;
    for (std::int64_t e = 0; e < s.query_width; ++e) {
      score += query[static_cast<std::size_t>(e)] * test::get(state.first, {n, h, t, e});
    }
    const double weight = std::exp(s.rule.scale * score);
    total += weight;
    for (std::int64_t m = 0; m < s.value_width; ++m) {
      out[static_cast<std::size_t>(m)] += weight * test::get(state.second, {n, h, t, m});
    }
  }
  for (double& v : out) v /= total;
  return out;
}

// The qkv projection's output to the attention's, head by head.
inline Row attend_all(const test::EncoderStepSizes& s, const kernels::StepState& state,
                      std::int64_t n, const Row& qkv) {
  const auto window = [&](std::int64_t first, std::int64_t width) {
    return Row(qkv.begin() + first, qkv.begin() + first + width);
  };
  Row out;
  const std::int64_t e = s.query_width, m = s.value_width;
  for (std::int64_t h = 0; h < s.heads; ++h) {
    const Row head = attend(s, state, n, h, window(h * e, e), window((s.heads + h) * e, e),
                            window(2 * s.heads * e + h * m, m));
    out.insert(out.end(), head.begin(), head.end());
  }
  return out;
}

// The output of sequence n; the problem's state moves on by it.
inline Row encoder_step(const test::EncoderStepProblem& p, std::int64_t n) {
  const auto add = [](Row a, const Row& b) {
    for (std::size_t i = 0; i < a.size(); ++i) a[i] += b[i];
    return a;
  };
  Row x = row_of(p.x, n);
  for (std::size_t i = 0; i < p.layers.size(); ++i) {
    const test::DenseLinear* dense = p.dense.data() + 4 * i;
    const Row attended = attend_all(p.sizes, p.states[i], n, linear_row(x, dense[0]));
    const Row a = normalised(add(x, linear_row(attended, dense[1])), p.layers[i].norm1);
    Row hidden = linear_row(a, dense[2]);
    for (double& v : hidden) v = activation(p.sizes.activation, v);
    x = normalised(add(a, linear_row(hidden, dense[3])), p.layers[i].norm2);
  }
  x = normalised(x, p.final_norm);
  return p.sizes.outputs > 0 ? linear_row(x, p.head) : x;
}

}  // namespace tarn::reference
