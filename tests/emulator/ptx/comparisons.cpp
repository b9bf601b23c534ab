// Comparisons, and choices by them.
#include <cmath>
#include <cstdint>
#include <cstring>

#include "tests/emulator/ptx/lanes.h"

namespace emulator::ptx {
namespace {

// Of 32 bytes that are 0 or 1, a bit each.
Mask packed(const std::array<std::uint8_t, kLanes>& bytes) {
  Mask mask = 0;
  for (unsigned i = 0; i < kLanes; i += 8) {
    std::uint64_t eight;
    std::memcpy(&eight, &bytes[i], 8);
    mask |= static_cast<Mask>(eight * 0x0102040810204080ULL >> 56) << i;
  }
  return mask;
}

template <class F, class T>
void compare(Warp& warp, const Instruction& at, Mask mask) {
  const T* a = warp.row<T>(at.operands[1]);
  const T* b = warp.row<T>(at.operands[2]);
  std::array<std::uint8_t, kLanes> results;
  for (unsigned lane = 0; lane < kLanes; ++lane) results[lane] = F{}(a[lane], b[lane]) ? 1 : 0;
  Mask& to = warp.predicate(at.operands[0]);
  to = (to & ~mask) | (packed(results) & mask);
}
template <class T, class F>
Rule comparison(F /*f*/) {
  return {.execute = compare<F, T>, .widths = {0, sizeof(T), sizeof(T)}};
}

template <class T>
void add_equality(Table& table, const std::string& type) {
  table["setp.eq." + type] = comparison<T>([](T a, T b) { return a == b; });
  table["setp.ne." + type] = comparison<T>([](T a, T b) { return !(a == b); });
}

template <class T>
void add_type(Table& table, const std::string& type) {
  add_equality<T>(table, type);
  table["setp.lt." + type] = comparison<T>([](T a, T b) { return a < b; });
  table["setp.le." + type] = comparison<T>([](T a, T b) { return a <= b; });
  table["setp.gt." + type] = comparison<T>([](T a, T b) { return a > b; });
  table["setp.ge." + type] = comparison<T>([](T a, T b) { return a >= b; });
}

// Floats have comparisons that are true of a NaN (u), and ne is not one of them.
template <class T>
void add_float(Table& table, const std::string& type) {
  add_type<T>(table, type);
  table["setp.ne." + type] = comparison<T>([](T a, T b) { return a < b || a > b; });
  table["setp.equ." + type] = comparison<T>([](T a, T b) { return !(a < b || a > b); });
  table["setp.neu." + type] = comparison<T>([](T a, T b) { return !(a == b); });
  table["setp.ltu." + type] = comparison<T>([](T a, T b) { return !(a >= b); });
  table["setp.leu." + type] = comparison<T>([](T a, T b) { return !(a > b); });
  table["setp.gtu." + type] = comparison<T>([](T a, T b) { return !(a <= b); });
  table["setp.geu." + type] = comparison<T>([](T a, T b) { return !(a < b); });
  table["setp.num." + type] =
      comparison<T>([](T a, T b) { return !std::isnan(a) && !std::isnan(b); });
  table["setp.nan." + type] =
      comparison<T>([](T a, T b) { return std::isnan(a) || std::isnan(b); });
}

template <class T>
void choose(Warp& warp, const Instruction& at, Mask mask) {
  T* to = warp.row<T>(at.operands[0]);
  const T* a = warp.row<T>(at.operands[1]);
  const T* b = warp.row<T>(at.operands[2]);
  const Mask first = warp.predicate(at.operands[3]);
  for_lanes(mask, [=](unsigned lane) { to[lane] = (first >> lane & 1) != 0 ? a[lane] : b[lane]; });
}

template <class T>
void add_choice(Table& table, const std::string& type) {
  table["selp." + type] = {.execute = choose<T>, .widths = {sizeof(T), sizeof(T), sizeof(T), 0}};
}

}  // namespace

void add_comparisons(Table& table) {
  add_type<std::int16_t>(table, "s16");
  add_type<std::int32_t>(table, "s32");
  add_type<std::int64_t>(table, "s64");
  add_type<std::uint16_t>(table, "u16");
  add_type<std::uint32_t>(table, "u32");
  add_type<std::uint64_t>(table, "u64");
  add_equality<std::uint32_t>(table, "b32");
  add_equality<std::uint64_t>(table, "b64");
  add_float<float>(table, "f32");
  add_float<double>(table, "f64");
  for (const char* type : {"b16", "u16", "s16"}) add_choice<std::uint16_t>(table, type);
  for (const char* type : {"b32", "u32", "s32", "f32"}) add_choice<std::uint32_t>(table, type);
  for (const char* type : {"b64", "u64", "s64", "f64"}) add_choice<std::uint64_t>(table, type);
}

}  // namespace emulator::ptx
