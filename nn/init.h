// Initial values, drawn by address: adding a layer does not change those of the others.
#pragma once

#include "core/rng.h"
#include "core/tensor.h"

namespace tarn::nn {

struct Init {
  enum class Kind : std::uint8_t { constant, uniform, normal } kind = Kind::constant;
  double scale = 0;  // the constant, the bound of +-scale, or the standard deviation

  static Init constant(double value) { return {Kind::constant, value}; }
  static Init uniform(double bound) { return {Kind::uniform, bound}; }
  static Init normal(double deviation) { return {Kind::normal, deviation}; }
  // What the authors' layers use: uniform in +-1 / sqrt(fan_in), weight and bias alike.
  static Init fan_in(std::int64_t fan_in);
};

// Always computed on the CPU, in f64, and copied: the same on every device.
Tensor initialise(const Init& init, const Shape& shape, const RngAddress& at, DType dtype,
                  Device device);

}  // namespace tarn::nn
