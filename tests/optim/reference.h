// The optimizers as their papers and the authors' code state them, in f64 and one element at a
// time.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "optim/optimizer.h"

namespace tarn::reference {

using Vector = std::vector<double>;

inline double norm_of(const Vector& g) {
  double squares = 0;
  for (const double x : g) squares += x * x;
  return std::sqrt(squares);
}

// The authors' clipping: all of the gradient up to the limit, 1e-6 included.
inline double clip_of(double norm, double limit) {
  return limit > 0 ? std::min(1.0, limit / (norm + 1e-6)) : 1;
}

// The authors' c_t of paper.md 3.20, and what they take before it is defined (rho < 5).
struct Rectified {
  bool adaptive;
  double factor;  // on m / (sqrt v + eps), or on m
};
inline Rectified rectify(double t, double beta1, double beta2, bool at_five) {
  const double power = std::pow(beta2, t);
  const double rho_end = 2 / (1 - beta2) - 1;
  const double rho = rho_end - 2 * t * power / (1 - power);
  const double unbiased = 1 / (1 - std::pow(beta1, t));
  if (!(at_five ? rho >= 5 : rho > 5)) return {false, unbiased};
  return {true, unbiased * std::sqrt((1 - power) * (rho - 4) / (rho_end - 4) * (rho - 2) / rho *
                                     rho_end / (rho_end - 2))};
}

// One tensor and its moments; update() is the t-th step from 1, with a gradient clipped already.
struct Trajectory {
  explicit Trajectory(Vector start)
      : value(std::move(start)), m(value.size(), 0), v(value.size(), 0) {}

  void update(const optim::OptimizerOptions& o, double t, double lr, Vector g) {
    const bool decoupled = o.kind == "adamw" || o.kind == "radam";
    const Rectified r = rectify(t, o.beta1, o.beta2, o.kind == "radam");
    for (std::size_t i = 0; i < value.size(); ++i) {
      if (decoupled) {
        value[i] -= lr * o.weight_decay * value[i];
      } else {
        g[i] += o.weight_decay * value[i];
      }
      if (o.kind == "sgd") {
        m[i] = o.momentum * m[i] + g[i];
        value[i] -= lr * m[i];
        continue;
      }
      m[i] = o.beta1 * m[i] + (1 - o.beta1) * g[i];
      v[i] = o.beta2 * v[i] + (1 - o.beta2) * g[i] * g[i];
      if (o.kind == "adam" || o.kind == "adamw") {
        const double m_hat = m[i] / (1 - std::pow(o.beta1, t));
        const double v_hat = v[i] / (1 - std::pow(o.beta2, t));
        value[i] -= lr * m_hat / (std::sqrt(v_hat) + o.eps);
      } else {
        const double divisor = r.adaptive ? std::sqrt(v[i]) + o.eps : 1;
        value[i] -= lr * r.factor * m[i] / divisor;
      }
    }
  }

  Vector value, m, v;
};

}  // namespace tarn::reference
