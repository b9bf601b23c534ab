#include <algorithm>
#include <cmath>

#include "bench/bench.h"

namespace tarn::bench {

double relative_error(const Tensor& f32, const Tensor& f64) {
  HostCopy result(f32), reference(f64);
  const std::span<const float> values = result.wait<float>();
  const std::span<const double> all_expected = reference.wait<double>();
  double error = 0, largest = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double expected = all_expected[i];
    error = std::max(error, std::abs(static_cast<double>(values[i]) - expected));
    largest = std::max(largest, std::abs(expected));
  }
  return error / largest;
}

}  // namespace tarn::bench
