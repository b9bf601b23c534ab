// One component of the discretized mixture of logistics (kernels/logistic_mixture.h), in f64 for
// tensors of either type: a mass is a difference of two sigmoids, which leaves few digits in f32.
#pragma once

#include <algorithm>
#include <cmath>

#include "kernels/common/device.h"

namespace tarn::kernels {

inline constexpr double kLogScaleFloor = -7;

// The larger of the two; a NaN stays one.
TARN_DEVICE inline double floored_log_scale(double raw) {
  return raw < kLogScaleFloor ? kLogScaleFloor : raw;
}

// sigma(x); sigma(-x), without the cancellation of 1 - sigma(x); and log sigma(x).
struct Sigmoid {
  TARN_DEVICE explicit Sigmoid(double x) {
    const double e = std::exp(-std::abs(x));
    const double near = 1 / (1 + e), far = e / (1 + e);
    up = x < 0 ? far : near;
    down = x < 0 ? near : far;
    log_up = std::min(x, 0.0) - std::log1p(e);
  }
  double up, down, log_up;
};

// log P(target) under one component, and its derivatives.
struct LogisticComponent {
  double log_p, by_mean, by_log_scale;
};

// The comparisons let a NaN through to the result, so that a diverged run is seen.
TARN_DEVICE inline LogisticComponent logistic_component(double target, double mean,
                                                        double raw_log_scale) {
  constexpr double kHalfBin = 1.0 / 255;
  constexpr double kEdge = 0.999;  // targets beyond it are the outermost values
  constexpr double kLeastMass = 1e-5;
  constexpr double kLogBins = 4.848116364598481;  // log(127.5)
  // Log-scales, and distances in units of the scale, are cut to this: beyond all training, and
  // small enough that no sum or product of them overflows an f32.
  constexpr double kFar = 1e30;

  const double log_scale = std::min(floored_log_scale(raw_log_scale), kFar);
  const double inverse = std::exp(-log_scale);
  const double middle = std::clamp(inverse * (target - mean), -kFar, kFar);
  const double half = inverse * kHalfBin;
  const double above = middle + half, below = middle - half;
  // With z in (above, below, middle), d z / d mean = -inverse and d z / d log_scale = -z.
  LogisticComponent out{};
  if (target < -kEdge) {  // the mass below `above`
    const Sigmoid s(above);
    out = {s.log_up, -inverse * s.down, -above * s.down};
  } else if (target > kEdge) {  // the mass above `below`
    const Sigmoid s(-below);
    out = {s.log_up, inverse * s.down, below * s.down};
  } else {
    const Sigmoid a(above), b(below);
    // sigma(above) - sigma(below), which cancels in the tails.
    const double mass = a.up * b.down * -std::expm1(-2 * half);
    if (mass > kLeastMass) {
      const double tilt = a.down - b.up;  // (sigma'(above) - sigma'(below)) / mass
      const double spread = (a.up * a.down + b.up * b.down) / mass;
      out = {std::log(mass), -inverse * tilt, -(middle * tilt + half * spread)};
    } else {
      const Sigmoid m(middle);
      const double tilt = m.down - m.up;
      out = {m.log_up + (m.log_up - middle) - log_scale - kLogBins, -inverse * tilt,
             -middle * tilt - 1};
    }
  }
  if (raw_log_scale < kLogScaleFloor) out.by_log_scale = 0;
  return out;
}

}  // namespace tarn::kernels
