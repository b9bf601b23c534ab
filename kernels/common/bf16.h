// bf16 is the upper half of an f32.
#pragma once

#include <bit>

#include "core/dtype.h"
#include "kernels/common/device.h"

namespace tarn::kernels {

TARN_DEVICE inline float widened(Bf16 x) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(x.bits) << 16);
}

// The nearest bf16, with ties to even. A NaN stays a NaN.
TARN_DEVICE inline Bf16 rounded_to_bf16(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  if (x != x) return {static_cast<std::uint16_t>(bits >> 16 | 0x40)};
  return {static_cast<std::uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
}

}  // namespace tarn::kernels
