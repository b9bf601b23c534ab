#include "nn/init.h"

#include <cmath>
#include <vector>

#include "core/transfer.h"

namespace tarn::nn {
namespace {

double draw(const Init& init, const RngAddress& at, std::uint64_t element) {
  switch (init.kind) {
    case Init::Kind::constant:
      return init.scale;
    case Init::Kind::uniform:
      return init.scale * (2 * random_uniform(at, element) - 1);
    case Init::Kind::normal:
      return init.scale * random_normal(at, element);
  }
  return 0;
}

template <class T>
Tensor filled(const Init& init, const Shape& shape, const RngAddress& at, Device device) {
  std::vector<T> values(static_cast<std::size_t>(shape.elements()));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<T>(draw(init, at, i));
  return from_values<T>(values, shape, device);
}

}  // namespace

Init Init::fan_in(std::int64_t fan_in) {
  return uniform(1 / std::sqrt(static_cast<double>(fan_in)));
}

Tensor initialise(const Init& init, const Shape& shape, const RngAddress& at, DType dtype,
                  Device device) {
  return dtype == DType::f64 ? filled<double>(init, shape, at, device)
                             : filled<float>(init, shape, at, device);
}

}  // namespace tarn::nn
