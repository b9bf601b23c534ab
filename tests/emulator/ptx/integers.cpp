// Integer arithmetic and logic. Overflow wraps: these files are compiled with -fwrapv.
#include <cstdint>
#include <limits>

#include "tests/emulator/ptx/lanes.h"

namespace emulator::ptx {
namespace {

using std::int16_t, std::int32_t, std::int64_t, std::uint16_t, std::uint32_t, std::uint64_t;

template <class T>
constexpr unsigned kBits = sizeof(T) * 8;

// A quotient that the host would trap on; PTX leaves that by zero open.
template <class T>
T divided(T a, T b) {
  if (b == 0) return static_cast<T>(-1);
  if constexpr (std::is_signed_v<T>) {
    if (b == -1) return static_cast<T>(-a);
  }
  return static_cast<T>(a / b);
}

// Arithmetic of a type, "s32".
template <class T>
void add_arithmetic(Table& table, const std::string& type) {
  table["add." + type] = per_lane<T, T, T>([](T a, T b) { return a + b; });
  table["sub." + type] = per_lane<T, T, T>([](T a, T b) { return a - b; });
  table["mul.lo." + type] = per_lane<T, T, T>([](T a, T b) { return a * b; });
  table["mad.lo." + type] = per_lane<T, T, T, T>([](T a, T b, T c) { return a * b + c; });
  table["div." + type] = per_lane<T, T, T>([](T a, T b) { return divided(a, b); });
  table["rem." + type] =
      per_lane<T, T, T>([](T a, T b) { return b == 0 ? a : a - divided(a, b) * b; });
  table["min." + type] = per_lane<T, T, T>([](T a, T b) { return a < b ? a : b; });
  table["max." + type] = per_lane<T, T, T>([](T a, T b) { return a > b ? a : b; });
  // A shift by more bits than there are leaves the sign, or nothing.
  table["shr." + type] = per_lane<T, T, uint32_t>([](T a, uint32_t n) -> T {
    if (n < kBits<T>) return static_cast<T>(a >> n);
    return static_cast<T>(std::is_signed_v<T> && a < 0 ? -1 : 0);
  });
  if constexpr (std::is_signed_v<T>) table["neg." + type] = per_lane<T, T>([](T a) { return -a; });
}

// Products of two numbers in twice the bits.
template <class Wide, class T>
void add_wide(Table& table, const std::string& type) {
  table["mul.wide." + type] =
      per_lane<Wide, T, T>([](T a, T b) { return static_cast<Wide>(a) * static_cast<Wide>(b); });
}

template <class T>
void add_logic(Table& table, const std::string& type) {
  table["and." + type] = per_lane<T, T, T>([](T a, T b) { return a & b; });
  table["or." + type] = per_lane<T, T, T>([](T a, T b) { return a | b; });
  table["xor." + type] = per_lane<T, T, T>([](T a, T b) { return a ^ b; });
  table["not." + type] = per_lane<T, T>([](T a) { return ~a; });
  table["shl." + type] = per_lane<T, T, uint32_t>(
      [](T a, uint32_t n) { return n < kBits<T> ? static_cast<T>(a << n) : T{0}; });
}

uint32_t reversed(uint32_t bits) {
  uint32_t result = 0;
  for (int i = 0; i < 32; ++i) result |= (bits >> i & 1) << (31 - i);
  return result;
}

// A predicate is one word for all lanes.
template <class F>
void predicates(Warp& warp, const Instruction& at, Mask mask) {
  Mask& to = warp.predicate(at.operands[0]);
  const Mask a = warp.predicate(at.operands[1]);
  const Mask b = at.sources > 1 ? warp.predicate(at.operands[2]) : 0;
  to = (to & ~mask) | (F{}(a, b) & mask);
}
template <class F>
Rule of_predicates(F /*f*/, std::size_t sources) {
  return {.execute = predicates<F>, .widths = std::vector<std::uint8_t>(sources + 1, 0)};
}

}  // namespace

void add_integers(Table& table) {
  add_arithmetic<int16_t>(table, "s16");
  add_arithmetic<int32_t>(table, "s32");
  add_arithmetic<int64_t>(table, "s64");
  add_arithmetic<uint32_t>(table, "u32");
  add_arithmetic<uint64_t>(table, "u64");
  add_wide<int64_t, int32_t>(table, "s32");
  add_wide<uint64_t, uint32_t>(table, "u32");
  add_logic<uint16_t>(table, "b16");
  add_logic<uint32_t>(table, "b32");
  add_logic<uint64_t>(table, "b64");
  table["popc.b32"] = per_lane<uint32_t, uint32_t>([](uint32_t a) { return std::popcount(a); });
  table["brev.b32"] = per_lane<uint32_t, uint32_t>([](uint32_t a) { return reversed(a); });
  table["bfind.shiftamt.u32"] = per_lane<uint32_t, uint32_t>(
      [](uint32_t a) { return a == 0 ? ~0U : static_cast<uint32_t>(std::countl_zero(a)); });
  table["and.pred"] = of_predicates([](Mask a, Mask b) { return a & b; }, 2);
  table["or.pred"] = of_predicates([](Mask a, Mask b) { return a | b; }, 2);
  table["xor.pred"] = of_predicates([](Mask a, Mask b) { return a ^ b; }, 2);
  table["not.pred"] = of_predicates([](Mask a, Mask) { return ~a; }, 1);
  table["mov.pred"] = of_predicates([](Mask a, Mask) { return a; }, 1);
}

}  // namespace emulator::ptx
