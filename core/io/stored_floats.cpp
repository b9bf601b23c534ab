#include "core/io/stored_floats.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "core/check.h"

namespace tarn {
namespace {

float of_bf16(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

// IEEE 754's binary16: 1 bit of sign, 5 of exponent (biased by 15), 10 of fraction.
float of_f16(std::uint16_t bits) {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits >> 15) << 31;
  const std::uint32_t exponent = bits >> 10 & 0x1FU, fraction = bits & 0x3FFU;
  if (exponent == 0) {  // zero and what is too small for an exponent: multiples of 2^-24
    const float value = std::ldexp(static_cast<float>(fraction), -24);
    return std::bit_cast<float>(std::bit_cast<std::uint32_t>(value) | sign);
  }
  const std::uint32_t wide = exponent == 0x1F ? 0xFF : exponent + 127 - 15;
  return std::bit_cast<float>(sign | wide << 23 | fraction << 13);
}

// Calls convert(element) for each element of the file's type.
template <class Stored, class Convert>
bool each(std::span<const std::byte> bytes, std::span<float> out, const Convert& convert) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    Stored element;
    std::memcpy(&element, bytes.data() + i * sizeof element, sizeof element);
    out[i] = convert(element);
    if constexpr (sizeof(Stored) > sizeof(float)) {
      if (std::isinf(out[i]) && std::isfinite(element)) return false;
    }
  }
  return true;
}

}  // namespace

bool is_stored_float(std::string_view stored) {
  return stored == "F32" || stored == "F64" || stored == "F16" || stored == "BF16";
}

bool floats_of(std::string_view stored, std::span<const std::byte> bytes, std::span<float> out) {
  if (stored == "F16") return each<std::uint16_t>(bytes, out, of_f16);
  if (stored == "BF16") return each<std::uint16_t>(bytes, out, of_bf16);
  if (stored == "F64") {
    return each<double>(bytes, out, [](double x) { return static_cast<float>(x); });
  }
  TARN_CHECK(stored == "F32", "no floating-point type of files: ", stored);
  return each<float>(bytes, out, [](float x) { return x; });
}

}  // namespace tarn
