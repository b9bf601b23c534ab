#include "core/rng.h"

#include <cmath>
#include <numbers>

namespace tarn {

double random_normal(const RngAddress& at, std::uint64_t element) {
  // One block of four for each element: two uniforms of 32 bits, the first moved off zero.
  const auto bits = random_block(at, element);
  const double radius = (static_cast<double>(bits[0]) + 0.5) * 0x1p-32;
  const double angle = static_cast<double>(bits[1]) * 0x1p-32;
  return std::sqrt(-2.0 * std::log(radius)) * std::cos(2.0 * std::numbers::pi * angle);
}

}  // namespace tarn
