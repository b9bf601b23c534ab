// Moves and conversions between types.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "tests/emulator/ptx/lanes.h"

namespace emulator::ptx {
namespace {

using std::int16_t, std::int32_t, std::int64_t, std::uint16_t, std::uint32_t, std::uint64_t;

// Between integers: the lower bits, or more of them by the sign of the source.
template <class To, class From>
void add_integer(Table& table, const std::string& to, const std::string& from) {
  table["cvt." + to + "." + from] = per_lane<To, From>([](From a) { return static_cast<To>(a); });
}

template <class To, class From>
void add_rounded(Table& table, const std::string& to, const std::string& from) {
  table["cvt.rn." + to + "." + from] =
      per_lane<To, From>([](From a) { return static_cast<To>(a); });
}

// Towards zero; what does not fit is the nearest that does, and a NaN is 0.
template <class To, class From>
To to_integer(From a) {
  constexpr To kLeast = std::numeric_limits<To>::min(), kMost = std::numeric_limits<To>::max();
  if (std::isnan(a)) return 0;
  if (a <= static_cast<From>(kLeast)) return kLeast;
  if (a >= static_cast<From>(kMost)) return kMost;
  return static_cast<To>(a);
}

template <class T>
void add_float(Table& table, const std::string& type) {
  add_rounded<T, int32_t>(table, type, "s32");
  add_rounded<T, uint32_t>(table, type, "u32");
  add_rounded<T, int64_t>(table, type, "s64");
  add_rounded<T, uint64_t>(table, type, "u64");
  table["cvt.rzi.s32." + type] = per_lane<int32_t, T>([](T a) { return to_integer<int32_t>(a); });
  table["cvt.rzi." + type + "." + type] = per_lane<T, T>([](T a) { return std::trunc(a); });
  table["cvt.rni." + type + "." + type] = per_lane<T, T>([](T a) { return std::nearbyint(a); });
}

template <class T>
void add_move(Table& table, const std::string& type) {
  table["mov." + type] = per_lane<T, T>([](T a) { return a; });
}

// Of a join or a take: the whole is a register, and its parts are registers of equal width.
template <bool is_join>
void move_parts(Warp& warp, const Instruction& at, Mask mask) {
  const std::size_t parts = is_join ? at.sources : at.destinations;
  const Operand whole = at.operands[is_join ? 0 : parts];
  const std::size_t bytes = whole.bytes / parts;
  std::byte* all = warp.bytes(whole);
  for (std::size_t p = 0; p < parts; ++p) {
    std::byte* part = warp.bytes(at.operands[is_join ? 1 + p : p]);
    for_lanes(mask, [=](unsigned lane) {
      std::byte* in_whole = all + lane * whole.bytes + p * bytes;
      std::byte* alone = part + lane * bytes;
      std::memcpy(is_join ? in_whole : alone, is_join ? alone : in_whole, bytes);
    });
  }
}

void join_or_take(Warp& warp, const Instruction& at, Mask mask) {
  if (at.destinations == 1) return move_parts<true>(warp, at, mask);
  move_parts<false>(warp, at, mask);
}

}  // namespace

void add_conversions(Table& table) {
  add_integer<int64_t, int32_t>(table, "s64", "s32");
  add_integer<uint64_t, uint32_t>(table, "u64", "u32");
  add_integer<uint32_t, uint64_t>(table, "u32", "u64");
  add_integer<uint16_t, uint32_t>(table, "u16", "u32");
  add_float<float>(table, "f32");
  add_float<double>(table, "f64");
  add_rounded<float, double>(table, "f32", "f64");
  table["cvt.f64.f32"] = per_lane<double, float>([](float a) { return static_cast<double>(a); });
  table["cvt.sat.f32.f32"] =
      per_lane<float, float>([](float a) { return a > 0.0F ? (a < 1.0F ? a : 1.0F) : 0.0F; });

  add_move<uint16_t>(table, "u16");
  for (const char* type : {"b32", "u32", "f32"}) add_move<uint32_t>(table, type);
  for (const char* type : {"u64", "f64"}) add_move<uint64_t>(table, type);
  table["mov.b64"] = per_lane<uint64_t, uint64_t>([](uint64_t a) { return a; });
  // One address space for all but shared, local and parameter memory.
  table["cvta.to.global.u64"] = per_lane<uint64_t, uint64_t>([](uint64_t a) { return a; });
  table["mov.b64 {}"] = {.execute = join_or_take, .widths = {8}, .form = Form::parts};
}

}  // namespace emulator::ptx
