#include <algorithm>
#include <cmath>

#include "bench/bench.h"

namespace tarn::bench {

double relative_error(const Tensor& f32, const Tensor& f64) {
  double error = 0, largest = 0;
  for (std::int64_t i = 0; i < f32.elements(); ++i) {
    const double wanted = f64.data<double>()[i];
    error = std::max(error, std::abs(static_cast<double>(f32.data<float>()[i]) - wanted));
    largest = std::max(largest, std::abs(wanted));
  }
  return error / largest;
}

}  // namespace tarn::bench
