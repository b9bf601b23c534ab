// How random bits become values (kernels/sample.h): in f64 for tensors of either type, so that
// devices that sum in another order draw the same but for the rarest of roundings.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "kernels/common/device.h"
#include "kernels/common/logistic_mixture.h"

namespace tarn::kernels {

// A uniform number in (0, 1). Both ends are excluded, so that no logarithm of 0 is taken.
TARN_DEVICE inline double open_uniform(std::uint32_t bits) {
  return (static_cast<double>(bits) + 0.5) * 0x1p-32;
}

// What index k weighs among all, where `top` is the largest logit and the temperature is not 0.
TARN_DEVICE inline double weight_of(double logit, double top, double temperature) {
  return std::exp((logit - top) / temperature);
}

TARN_DEVICE inline double scale_of(double raw, bool compat) {
  if (!compat) return std::exp(floored_log_scale(raw));
  return raw > 0 ? raw + 1.0001 : std::exp(raw) + 0.0001;
}

// The comparison turns a NaN into 0, because converting a NaN to an integer is undefined.
TARN_DEVICE inline std::int32_t value_of(double x) {
  const double value = std::round((x + 1) / 2 * 255);
  return value > 0 ? static_cast<std::int32_t>(std::min(value, 255.0)) : 0;
}

// The value at which the distribution function of a logistic is u.
TARN_DEVICE inline std::int32_t logistic_value(double mean, double scale, double u) {
  return value_of(mean + scale * (std::log(u) - std::log1p(-u)));
}

}  // namespace tarn::kernels
