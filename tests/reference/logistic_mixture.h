// The discretized mixture of logistics as its formula says, and its gradient by the chain rule. In
// long double, so that differences of sigmoids keep the digits that an f64 is compared in.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/tensor.h"
#include "tests/support/random_tensor.h"

namespace tarn::reference {

struct LogisticMixture {
  Tensor totals;  // f64 [2]: the kernel's
  Tensor loss;    // a scalar
  Tensor grad;    // d loss / d parameters
};

namespace detail {

using Real = long double;

inline Real sigmoid(Real x) { return 1 / (1 + std::exp(-x)); }
inline Real softplus(Real x) {
  return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x));
}

struct LogisticComponent {
  Real log_p, by_mean, by_log_scale;
};

inline LogisticComponent logistic_component(Real y, Real mean, Real raw) {
  const Real s = std::max(raw, Real{-7}), inverse = std::exp(-s), h = Real{1} / 255;
  const Real plus = inverse * (y - mean + h), minus = inverse * (y - mean - h);
  const Real middle = inverse * (y - mean), mass = sigmoid(plus) - sigmoid(minus);
  // log_p, and what it changes by with plus, minus, middle and s itself.
  Real log_p = 0, by_plus = 0, by_minus = 0, by_middle = 0, by_s = 0;
  if (y < -0.999L) {
    log_p = plus - softplus(plus);
    by_plus = sigmoid(-plus);
  } else if (y > 0.999L) {
    log_p = -softplus(minus);
    by_minus = -sigmoid(minus);
  } else if (mass > 1e-5L) {
    log_p = std::log(mass);
    by_plus = sigmoid(plus) * sigmoid(-plus) / mass;
    by_minus = -sigmoid(minus) * sigmoid(-minus) / mass;
  } else {
    log_p = middle - s - 2 * softplus(middle) - std::log(127.5L);
    by_middle = 1 - 2 * sigmoid(middle);
    by_s = -1;
  }
  const Real by_scale = by_s - plus * by_plus - minus * by_minus - middle * by_middle;
  return {log_p, -inverse * (by_plus + by_minus + by_middle), raw < -7 ? 0 : by_scale};
}

inline Real log_sum_exp(const std::vector<Real>& x) {
  const Real top = *std::max_element(x.begin(), x.end());
  Real total = 0;
  for (const Real value : x) total += std::exp(value - top);
  return top + std::log(total);
}

}  // namespace detail

inline LogisticMixture logistic_mixture(const Tensor& parameters, const Tensor& targets) {
  using detail::Real;
  const std::int64_t rows = targets.elements(), mixtures = parameters.size(-1) / 3;
  const auto share = 1 / static_cast<Real>(rows);
  std::vector<double> grad(static_cast<std::size_t>(parameters.elements()));
  Real total = 0;
  for (std::int64_t r = 0; r < rows; ++r) {
    const auto index = [&](std::int64_t part, std::int64_t k) {
      return (3 * r + part) * mixtures + k;
    };
    std::vector<detail::LogisticComponent> components;
    std::vector<Real> logits, joint;
    for (std::int64_t k = 0; k < mixtures; ++k) {
      logits.push_back(test::get(parameters, index(0, k)));
      components.push_back(detail::logistic_component(test::get(targets, r),
                                                      test::get(parameters, index(1, k)),
                                                      test::get(parameters, index(2, k))));
      joint.push_back(logits.back() + components.back().log_p);
    }
    const Real normaliser = detail::log_sum_exp(logits), evidence = detail::log_sum_exp(joint);
    total += normaliser - evidence;
    for (std::int64_t k = 0; k < mixtures; ++k) {
      const auto i = static_cast<std::size_t>(k);
      const Real posterior = std::exp(joint[i] - evidence);
      const auto set = [&](std::int64_t part, Real value) {
        grad[static_cast<std::size_t>(index(part, k))] = static_cast<double>(share * value);
      };
      set(0, std::exp(logits[i] - normaliser) - posterior);
      set(1, -posterior * components[i].by_mean);
      set(2, -posterior * components[i].by_log_scale);
    }
  }
  const auto sum = static_cast<double>(total);
  return {test::from_vector({2}, {sum, static_cast<double>(rows)}),
          test::from_vector({}, {static_cast<double>(total * share)}),
          test::from_vector(parameters.shape(), grad)};
}

}  // namespace tarn::reference
