// Attention as the equations say it, in f64 and O(L S): what the kernels are held to. Every kind is
// out[l] = sum over s of weight[l, s] value[s]; they differ in the weights.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "core/rng.h"
#include "core/tensor.h"
#include "tests/support/random_tensor.h"

namespace tarn::reference {

// query [N, L, H, E], key [N, S, H, E] and value [N, S, H, M] of any dtype and strides.
struct Attention {
  Tensor query, key, value;
  Tensor lengths;                 // i32 [N], undefined for none
  bool causal = false;            // s <= l + S - L
  double scale = 1, dropout = 0;  // softmax only
  RngAddress address = {};
  double eps = 1e-6;  // linear only
};

struct AttentionGradients {
  Tensor query, key, value;
};

// Row-major doubles under four indices.
struct Array4 {
  Array4(std::int64_t a, std::int64_t b, std::int64_t c, std::int64_t d)
      : shape{a, b, c, d}, values(static_cast<std::size_t>(a * b * c * d)) {}
  explicit Array4(const Tensor& t) : shape(t.shape()), values(test::to_vector(t)) {}

  double& operator()(std::int64_t a, std::int64_t b, std::int64_t c, std::int64_t d) {
    return *(row(a, b, c) + d);
  }
  double* row(std::int64_t a, std::int64_t b, std::int64_t c) {
    return values.data() + ((a * shape[1] + b) * shape[2] + c) * shape[3];
  }
  Tensor tensor() const { return test::from_vector(shape, values); }

  Shape shape;
  std::vector<double> values;
};

// Calls f(n, h, l, s) for each pair of a query and a key that it may see.
template <class F>
void for_each_pair(const Attention& a, const F& f) {
  const std::int64_t batch = a.query.size(0), heads = a.query.size(2);
  const std::int64_t queries = a.query.size(1), keys = a.key.size(1);
  for (std::int64_t n = 0; n < batch; ++n) {
    const double length = a.lengths.defined() ? test::get(a.lengths, n) : static_cast<double>(keys);
    for (std::int64_t h = 0; h < heads; ++h) {
      for (std::int64_t l = 0; l < queries; ++l) {
        for (std::int64_t s = 0; s < keys; ++s) {
          if (a.causal && s > l + keys - queries) continue;
          if (static_cast<double>(s) >= length) continue;
          f(n, h, l, s);
        }
      }
    }
  }
}

// query[l] . key[s] as [N, H, L, S], 0 where not allowed.
inline Array4 dot_products(const Attention& a) {
  Array4 query(a.query), key(a.key);
  Array4 dots(a.query.size(0), a.query.size(2), a.query.size(1), a.key.size(1));
  const std::int64_t width = a.query.size(3);
  for_each_pair(a, [&](auto n, auto h, auto l, auto s) {
    const double *q = query.row(n, l, h), *k = key.row(n, s, h);
    double& dot = dots(n, h, l, s);
    for (std::int64_t e = 0; e < width; ++e) dot += q[e] * k[e];
  });
  return dots;
}

// The sum over s of weights as [N, H, L, 1].
inline Array4 row_sums(const Attention& a, Array4& weights) {
  Array4 sums(weights.shape[0], weights.shape[1], weights.shape[2], 1);
  for_each_pair(a,
                [&](auto n, auto h, auto l, auto s) { sums(n, h, l, 0) += weights(n, h, l, s); });
  return sums;
}

inline Array4 weighted_values(const Attention& a, Array4& weights) {
  Array4 value(a.value), out(a.query.size(0), a.query.size(1), a.query.size(2), a.value.size(3));
  const std::int64_t width = a.value.size(3);
  for_each_pair(a, [&](auto n, auto h, auto l, auto s) {
    const double weight = weights(n, h, l, s), *v = value.row(n, s, h);
    double* o = out.row(n, l, h);
    for (std::int64_t m = 0; m < width; ++m) o[m] += weight * v[m];
  });
  return out;
}

// log of the sum over s of exp(scale * query . key), [N, H, L]; +infinity without any key, which
// makes exp(score - it) the weight 0.
inline Tensor log_sum_exp(const Attention& a) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  Array4 dots = dot_products(a);
  Array4 largest(dots.shape[0], dots.shape[1], dots.shape[2], 1), sums = largest;
  std::fill(largest.values.begin(), largest.values.end(), -kInfinity);
  for_each_pair(a, [&](auto n, auto h, auto l, auto s) {
    largest(n, h, l, 0) = std::max(largest(n, h, l, 0), a.scale * dots(n, h, l, s));
  });
  for_each_pair(a, [&](auto n, auto h, auto l, auto s) {
    sums(n, h, l, 0) += std::exp(a.scale * dots(n, h, l, s) - largest(n, h, l, 0));
  });
  for (std::size_t i = 0; i < sums.values.size(); ++i) {
    sums.values[i] = sums.values[i] > 0 ? largest.values[i] + std::log(sums.values[i]) : kInfinity;
  }
  return sums.tensor().view(sums.shape.without_last());
}

// Whether weight (n, h, l, s) outlives dropout.
inline bool kept(const Attention& a, std::int64_t n, std::int64_t h, std::int64_t l,
                 std::int64_t s) {
  const std::int64_t heads = a.query.size(2), queries = a.query.size(1), keys = a.key.size(1);
  const std::int64_t element = ((n * heads + h) * queries + l) * keys + s;
  return random_bits(a.address, static_cast<std::uint64_t>(element)) >= random_threshold(a.dropout);
}

// Eq. 2, dropout included.
inline Array4 softmax_weights(const Attention& a) {
  Array4 weights = dot_products(a);
  const std::vector<double> log_sums = test::to_vector(log_sum_exp(a));
  for_each_pair(a, [&](auto n, auto h, auto l, auto s) {
    const std::int64_t row = (n * weights.shape[1] + h) * weights.shape[2] + l;
    double& weight = weights(n, h, l, s);
    weight = std::exp(a.scale * weight - log_sums[static_cast<std::size_t>(row)]);
    weight *= kept(a, n, h, l, s) ? 1 / (1 - a.dropout) : 0;
  });
  return weights;
}

inline Tensor softmax_attention(const Attention& a) {
  Array4 weights = softmax_weights(a);
  return weighted_values(a, weights).tensor();
}

// Eqs. 4 and 8, with eps: query . key over its sum over the keys seen. The feature map is applied
// already. Causal or not as `a` says.
inline Array4 linear_weights(const Attention& a) {
  Array4 weights = dot_products(a);
  Array4 sums = row_sums(a, weights);
  for_each_pair(
      a, [&](auto n, auto h, auto l, auto s) { weights(n, h, l, s) /= sums(n, h, l, 0) + a.eps; });
  return weights;
}

inline Tensor linear_attention(const Attention& a) {
  Array4 weights = linear_weights(a);
  return weighted_values(a, weights).tensor();
}

// 1 / (sum over s of query . key + eps), [N, H, L].
inline Tensor linear_inverse_sum(const Attention& a) {
  Array4 dots = dot_products(a);
  Array4 sums = row_sums(a, dots);
  for (double& sum : sums.values) sum = 1 / (sum + a.eps);
  return sums.tensor().view(sums.shape.without_last());
}

// With weight = dot / sum: d value[s] = sum over l of weight grad_out[l], and
// d dot[l, s] = grad_out[l] . (value[s] - out[l]) / sum[l].
inline AttentionGradients linear_attention_backward(const Attention& a, const Tensor& grad_output) {
  Array4 query(a.query), key(a.key), value(a.value), grad_out(grad_output);
  Array4 weights = linear_weights(a), out = weighted_values(a, weights);
  const std::vector<double> inverse_sums = test::to_vector(linear_inverse_sum(a));
  Array4 grad_query = query, grad_key = key, grad_value = value;
  for (Array4* grad : {&grad_query, &grad_key, &grad_value}) {
    std::fill(grad->values.begin(), grad->values.end(), 0.0);
  }
  const std::int64_t width = a.query.size(3), out_width = a.value.size(3);
  for_each_pair(a, [&](auto n, auto h, auto l, auto s) {
    const std::int64_t row = (n * weights.shape[1] + h) * weights.shape[2] + l;
    const double weight = weights(n, h, l, s);
    const double *g = grad_out.row(n, l, h), *v = value.row(n, s, h), *o = out.row(n, l, h);
    double* grad_v = grad_value.row(n, s, h);
    double grad_dot = 0;
    for (std::int64_t m = 0; m < out_width; ++m) {
      grad_dot += g[m] * (v[m] - o[m]);
      grad_v[m] += weight * g[m];
    }
    grad_dot *= inverse_sums[static_cast<std::size_t>(row)];
    const double *q = query.row(n, l, h), *k = key.row(n, s, h);
    double *grad_q = grad_query.row(n, l, h), *grad_k = grad_key.row(n, s, h);
    for (std::int64_t e = 0; e < width; ++e) {
      grad_q[e] += grad_dot * k[e];
      grad_k[e] += grad_dot * q[e];
    }
  });
  return {grad_query.tensor(), grad_key.tensor(), grad_value.tensor()};
}

// Eqs. 8 to 12: the same with s <= l.
inline Tensor causal_linear_attention(Attention a) {
  a.causal = true;
  return linear_attention(a);
}
inline AttentionGradients causal_linear_attention_backward(Attention a, const Tensor& grad_output) {
  a.causal = true;
  return linear_attention_backward(a, grad_output);
}

}  // namespace tarn::reference
