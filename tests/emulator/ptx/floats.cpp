// Arithmetic on floats. The host's is that of PTX: rounded to nearest, with subnormal numbers.
// Where PTX allows an approximation, this computes the nearest value, and flushes where it is told
// to.
#include <cmath>
#include <cstdint>
#include <limits>

#include "tests/emulator/ptx/lanes.h"

namespace emulator::ptx {
namespace {

// Subnormal numbers as zeros of their sign, which .ftz asks for.
template <class T>
T flushed(T x) {
  return std::abs(x) < std::numeric_limits<T>::min() ? std::copysign(T(0), x) : x;
}

// The part of a + b that their rounded sum has lost, exactly (Knuth).
double lost(double a, double b, double sum) {
  const double other = sum - a;
  return (a - (sum - other)) + (b - other);
}

// a * b + c rounded down. The product is exact in f64.
float fused_down(float a, float b, float c) {
  const double product = static_cast<double>(a) * static_cast<double>(b);
  const double sum = product + static_cast<double>(c);
  const auto rounded = static_cast<float>(sum);
  if (!std::isfinite(sum) || std::isinf(rounded)) return rounded;
  const auto back = static_cast<double>(rounded);
  const bool above = back > sum || (back == sum && lost(product, static_cast<double>(c), sum) < 0);
  return above ? std::nextafter(rounded, -std::numeric_limits<float>::infinity()) : rounded;
}

// a + b rounded towards zero.
double sum_to_zero(double a, double b) {
  const double sum = a + b;
  if (!std::isfinite(sum)) return sum;
  const double rest = lost(a, b, sum);
  return rest != 0 && std::signbit(rest) != std::signbit(sum) ? std::nextafter(sum, 0.0) : sum;
}

// The upper half of an f64's bits; what rcp.approx.ftz.f64 reads and gives.
double upper_half(double x) {
  return std::bit_cast<double>(std::bit_cast<std::uint64_t>(x) & 0xFFFFFFFF00000000ULL);
}

// A product and a sum is the host's instruction where it has one, and else a call for each lane.
#define TARN_FOR_THE_HOST gnu::target_clones("default", "arch=haswell")
[[TARN_FOR_THE_HOST]] void fuse(float* to, const float* a, const float* b, const float* c) {
  for (unsigned lane = 0; lane < kLanes; ++lane) to[lane] = std::fma(a[lane], b[lane], c[lane]);
}
[[TARN_FOR_THE_HOST]] void fuse(double* to, const double* a, const double* b, const double* c) {
  for (unsigned lane = 0; lane < kLanes; ++lane) to[lane] = std::fma(a[lane], b[lane], c[lane]);
}

template <class T>
void fused(Warp& warp, const Instruction& at, Mask mask) {
  alignas(64) std::array<T, kLanes> results;
  fuse(results.data(), warp.row<T>(at.operands[1]), warp.row<T>(at.operands[2]),
       warp.row<T>(at.operands[3]));
  T* to = warp.row<T>(at.operands[0]);
  for_lanes(mask, [&](unsigned lane) { to[lane] = results[lane]; });
}

template <class T>
void add_type(Table& table, const std::string& type) {
  for (const std::string& name : {type, "rn." + type}) {
    table["add." + name] = per_lane<T, T, T>([](T a, T b) { return a + b; });
    table["sub." + name] = per_lane<T, T, T>([](T a, T b) { return a - b; });
    table["mul." + name] = per_lane<T, T, T>([](T a, T b) { return a * b; });
  }
  table["fma.rn." + type] = {
      .execute = fused<T>, .widths = {sizeof(T), sizeof(T), sizeof(T), sizeof(T)}, .fused = true};
  table["div.rn." + type] = per_lane<T, T, T>([](T a, T b) { return a / b; });
  table["rcp.rn." + type] = per_lane<T, T>([](T a) { return T(1) / a; });
  table["sqrt.rn." + type] = per_lane<T, T>([](T a) { return std::sqrt(a); });
  table["neg." + type] = per_lane<T, T>([](T a) { return -a; });
  table["abs." + type] = per_lane<T, T>([](T a) { return std::abs(a); });
  table["min." + type] = per_lane<T, T, T>([](T a, T b) { return std::fmin(a, b); });
  table["max." + type] = per_lane<T, T, T>([](T a, T b) { return std::fmax(a, b); });
  // The sign is the first operand's.
  table["copysign." + type] = per_lane<T, T, T>([](T a, T b) { return std::copysign(b, a); });
}

}  // namespace

void add_floats(Table& table) {
  add_type<float>(table, "f32");
  add_type<double>(table, "f64");
  table["fma.rm.f32"] = per_lane<float, float, float, float>(
      [](float a, float b, float c) { return fused_down(a, b, c); });
  table["fma.rm.f32"].fused = true;
  table["add.rz.f64"] =
      per_lane<double, double, double>([](double a, double b) { return sum_to_zero(a, b); });
  table["ex2.approx.ftz.f32"] =
      per_lane<float, float>([](float a) { return flushed(std::exp2(flushed(a))); });
  table["rcp.approx.ftz.f32"] =
      per_lane<float, float>([](float a) { return flushed(1.0F / flushed(a)); });
  table["rcp.approx.ftz.f64"] = per_lane<double, double>(
      [](double a) { return upper_half(flushed(1.0 / flushed(upper_half(a)))); });
}

}  // namespace emulator::ptx
