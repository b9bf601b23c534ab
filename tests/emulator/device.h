// The functions that CUDA C++ predefines for device code: barriers, warp collectives, atomics,
// conversions. A collective waits until every lane of its mask has called it.
#pragma once

#include <bit>
#include <cmath>
#include <cstring>
#include <type_traits>

#include "tests/emulator/block.h"
#include "tests/emulator/checker.h"
#include "tests/emulator/types.h"

#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __grid_constant__
#define __align__(n) alignas(n)

namespace emulator {

// The shared array that a kernel declares: EMULATOR_SHARED(float[32][33], tile).
template <class T>
struct Identity {
  using type = T;
};
template <class T>
using Named = typename Identity<T>::type;
#define EMULATOR_SHARED(Type, name)                                                       \
  ::emulator::Named<Type>& name =                                                         \
      *static_cast<::emulator::Named<Type>*>(::emulator::Block::running()->static_shared( \
          [] {                                                                            \
            static const char key = 0;                                                    \
            return static_cast<const void*>(&key);                                        \
          }(),                                                                            \
          sizeof(::emulator::Named<Type>),                                                \
          alignof(::emulator::Named<Type>) < 16 ? 16 : alignof(::emulator::Named<Type>)))
// The dynamic shared memory of the launch, as a pointer.
#define EMULATOR_DYNAMIC_SHARED(Type, name) \
  Type* name = static_cast<Type*>(::emulator::Block::running()->dynamic_shared())

// Every lane of the mask publishes a value; when all have, each calls use(read), in which
// read(lane) is a lane's value.
template <class T, class Use>
auto exchange(unsigned mask, const T& value, Use use, Location where) {
  static_assert(sizeof(T) <= kMostPublished && std::is_trivially_copyable_v<T>);
  Block& block = *Block::running();
  const int set = block.next_set();
  auto& lanes = block.published().lanes[static_cast<std::size_t>(set)];
  std::memcpy(lanes[block.lane()].data(), &value, sizeof(T));
  block.wait_for_warp(mask, where);
  const auto result = use([&lanes](unsigned lane) {
    T read;
    std::memcpy(&read, lanes[lane % kWarp].data(), sizeof(T));
    return read;
  });
  // With part of the lanes, the two sets in turn do not keep others' values apart.
  if (mask != ~0U) block.wait_for_warp(mask, where);
  return result;
}

// An atomic read and write of memory; returns what was there. Not instrumented, since the checker
// would take its two halves for plain accesses.
template <class T, class Update>
[[gnu::noinline, gnu::no_sanitize_thread]] T update_atomically(T* address, Update update,
                                                               const void* site) {
  check_access(address, sizeof(T), true, true, site);
  const T old = *address;
  *address = update(old);
  return old;
}

}  // namespace emulator

#define EMULATOR_HERE ::emulator::Location where = ::emulator::Location::current()

inline void __syncthreads(EMULATOR_HERE) { emulator::Block::running()->wait_for_block(where); }
inline void __syncwarp(unsigned mask = ~0U, EMULATOR_HERE) {
  emulator::Block::running()->wait_for_warp(mask, where);
}

template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = warpSize, EMULATOR_HERE) {
  const unsigned base = emulator::Block::running()->lane() & ~(static_cast<unsigned>(width) - 1);
  const unsigned from = base + (static_cast<unsigned>(source) & (static_cast<unsigned>(width) - 1));
  return emulator::exchange(
      mask, value, [&](auto read) { return read(from); }, where);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int bits, int width = warpSize, EMULATOR_HERE) {
  const unsigned lane = emulator::Block::running()->lane();
  const unsigned w = static_cast<unsigned>(width);
  const unsigned to = lane ^ static_cast<unsigned>(bits);
  const unsigned from = to < (lane & ~(w - 1)) + w ? to : lane;
  return emulator::exchange(
      mask, value, [&](auto read) { return read(from); }, where);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = warpSize, EMULATOR_HERE) {
  const unsigned lane = emulator::Block::running()->lane();
  const unsigned inside = lane & (static_cast<unsigned>(width) - 1);
  const unsigned from = delta <= inside ? lane - delta : lane;
  return emulator::exchange(
      mask, value, [&](auto read) { return read(from); }, where);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = warpSize, EMULATOR_HERE) {
  const unsigned lane = emulator::Block::running()->lane();
  const unsigned w = static_cast<unsigned>(width);
  const unsigned from = (lane & (w - 1)) + delta < w ? lane + delta : lane;
  return emulator::exchange(
      mask, value, [&](auto read) { return read(from); }, where);
}
inline unsigned __ballot_sync(unsigned mask, int predicate, EMULATOR_HERE) {
  const unsigned live = mask & emulator::Block::running()->live_lanes();
  const auto count = [&](auto read) {
    unsigned bits = 0;
    for (unsigned i = 0; i < emulator::kWarp; ++i) {
      if ((live >> i & 1) != 0 && read(i) != 0) bits |= 1U << i;
    }
    return bits;
  };
  return emulator::exchange(mask, predicate, count, where);
}
inline int __any_sync(unsigned mask, int predicate, EMULATOR_HERE) {
  return __ballot_sync(mask, predicate, where) != 0 ? 1 : 0;
}
inline int __all_sync(unsigned mask, int predicate, EMULATOR_HERE) {
  const unsigned live = mask & emulator::Block::running()->live_lanes();
  return __ballot_sync(mask, predicate, where) == live ? 1 : 0;
}

inline void __threadfence() {}
inline void __threadfence_block() {}
template <class T>
T __ldg(const T* address) {
  return *address;
}

// Integer atomics; float ones exist so that a kernel that uses them can be shown to be wrong for a
// project that wants the same sums each time.
template <class T>
[[gnu::noinline]] T atomicAdd(T* address, std::type_identity_t<T> value) {
  return emulator::update_atomically(
      address, [&](T old) { return old + value; }, __builtin_return_address(0));
}
template <class T>
[[gnu::noinline]] T atomicMax(T* address, std::type_identity_t<T> value) {
  return emulator::update_atomically(
      address, [&](T old) { return old > value ? old : value; }, __builtin_return_address(0));
}
template <class T>
[[gnu::noinline]] T atomicCAS(T* address, std::type_identity_t<T> expected,
                              std::type_identity_t<T> value) {
  return emulator::update_atomically(
      address, [&](T old) { return old == expected ? value : old; }, __builtin_return_address(0));
}

inline float rsqrtf(float x) { return 1.0F / std::sqrt(x); }
inline float __expf(float x) { return std::exp(x); }
inline float __logf(float x) { return std::log(x); }
inline float __fdividef(float a, float b) { return a / b; }
inline float __int_as_float(int bits) { return std::bit_cast<float>(bits); }
inline int __float_as_int(float x) { return std::bit_cast<int>(x); }
inline unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }
inline float __uint_as_float(unsigned bits) { return std::bit_cast<float>(bits); }
inline int __popc(unsigned x) { return std::popcount(x); }
inline int __ffs(int x) { return x == 0 ? 0 : std::countr_zero(static_cast<unsigned>(x)) + 1; }
inline int __clz(int x) { return std::countl_zero(static_cast<unsigned>(x)); }
inline unsigned __umulhi(unsigned a, unsigned b) {
  return static_cast<unsigned>(std::uint64_t{a} * b >> 32);
}
