// Vector helpers, compiled once for each instruction set: include after hwy/highway.h in a .cpp
// that goes through hwy/foreach_target.h. Serial code only; threads stand outside (parallel.h). A
// lambda handed to these needs HWY_ATTR before its body.

#if defined(TARN_KERNELS_CPU_SIMD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TARN_KERNELS_CPU_SIMD_INL_H_
#undef TARN_KERNELS_CPU_SIMD_INL_H_
#else
#define TARN_KERNELS_CPU_SIMD_INL_H_
#endif

#include <algorithm>
#include <cstdint>

#include "core/rng.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace tarn::kernels::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Calls body(d, i) for i over [0, n): whole vectors first, then single elements (d has one lane).
template <class T, class Body>
HWY_INLINE void for_vectors(std::int64_t n, const Body& body) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) body(d, i);
  for (; i < n; ++i) body(hn::CappedTag<T, 1>(), i);
}

// n rounded up to whole vectors.
template <class D>
HWY_INLINE std::int64_t whole_vectors(D d, std::int64_t n) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  return (n + lanes - 1) / lanes * lanes;
}

// Copies a short row, for which a call of memcpy would cost more.
template <class T>
HWY_INLINE void copy_row(const T* HWY_RESTRICT row, T* HWY_RESTRICT to, std::int64_t n) {
  for_vectors<T>(
      n, [&](auto d, std::int64_t i) HWY_ATTR { hn::StoreU(hn::LoadU(d, row + i), d, to + i); });
}

// to = beta * to + row * scale.
template <class T>
HWY_INLINE void accumulate(const T* HWY_RESTRICT row, T scale, double beta, T* HWY_RESTRICT to,
                           std::int64_t n) {
  if (beta == 0) {
    for_vectors<T>(n, [&](auto d, std::int64_t i) HWY_ATTR {
      hn::StoreU(hn::Mul(hn::LoadU(d, row + i), hn::Set(d, scale)), d, to + i);
    });
  } else {
    for_vectors<T>(n, [&](auto d, std::int64_t i) HWY_ATTR {
      const auto old = hn::Mul(hn::LoadU(d, to + i), hn::Set(d, static_cast<T>(beta)));
      hn::StoreU(hn::MulAdd(hn::LoadU(d, row + i), hn::Set(d, scale), old), d, to + i);
    });
  }
}

template <class T>
HWY_INLINE T sum(const T* x, std::int64_t n) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  auto total = hn::Zero(d);
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) total = hn::Add(total, hn::LoadU(d, x + i));
  T rest = hn::GetLane(hn::SumOfLanes(d, total));
  for (; i < n; ++i) rest += x[i];
  return rest;
}

template <class T>
HWY_INLINE T dot(const T* x, const T* y, std::int64_t n) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  auto total = hn::Zero(d);
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    total = hn::MulAdd(hn::LoadU(d, x + i), hn::LoadU(d, y + i), total);
  }
  T rest = hn::GetLane(hn::SumOfLanes(d, total));
  for (; i < n; ++i) rest += x[i] * y[i];
  return rest;
}

#if HWY_TARGET != HWY_SCALAR
// The 64-bit products of 32-bit lanes, as their high and low halves.
template <class D, class V>
HWY_INLINE void multiply_wide(D d, V a, V multiplier, V& high, V& low) {
  const auto even = hn::BitCast(d, hn::MulEven(a, multiplier));
  const auto odd = hn::BitCast(d, hn::MulEven(hn::Shuffle2301(a), multiplier));
  low = hn::OddEven(hn::Shuffle2301(odd), even);
  high = hn::OddEven(odd, hn::Shuffle2301(even));
}
#endif

// Philox blocks [first, first + count), in order of their elements: equal to random_block() of
// each.
HWY_INLINE void random_blocks(const RngAddress& at, std::int64_t first, std::int64_t count,
                              std::uint32_t* HWY_RESTRICT out) {
  std::int64_t block = 0;
#if HWY_TARGET != HWY_SCALAR
  const hn::ScalableTag<std::uint32_t> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const std::uint64_t site = site_of_block(at, static_cast<std::uint64_t>(first));
  // The few pieces whose blocks lie at two sites are left to the loop below.
  const std::int64_t vectors = first >> 32 == (first + count) >> 32 ? count : 0;
  for (; block + lanes <= vectors; block += lanes) {
    auto c0 = hn::Iota(d, static_cast<std::uint32_t>(first + block));
    auto c1 = hn::Set(d, at.step);
    auto c2 = hn::Set(d, static_cast<std::uint32_t>(site));
    auto c3 = hn::Set(d, static_cast<std::uint32_t>(site >> 32));
    auto k0 = static_cast<std::uint32_t>(at.seed);
    auto k1 = static_cast<std::uint32_t>(at.seed >> 32);
    for (int round = 0; round < 10; ++round) {
      decltype(c0) high_a, low_a, high_b, low_b;
      multiply_wide(d, c0, hn::Set(d, 0xD2511F53U), high_a, low_a);
      multiply_wide(d, c2, hn::Set(d, 0xCD9E8D57U), high_b, low_b);
      c0 = hn::Xor(hn::Xor(high_b, c1), hn::Set(d, k0));
      c1 = low_b;
      c2 = hn::Xor(hn::Xor(high_a, c3), hn::Set(d, k1));
      c3 = low_a;
      k0 += 0x9E3779B9U;
      k1 += 0xBB67AE85U;
    }
    hn::StoreInterleaved4(c0, c1, c2, c3, d, out + 4 * block);
  }
#endif
  for (; block < count; ++block) {
    const auto bits = random_block(at, static_cast<std::uint64_t>(first + block));
    std::copy(bits.begin(), bits.end(), out + 4 * block);
  }
}

// Elements [first, first + n) of a stream, somewhere in a buffer of random_buffer_size(n).
constexpr std::int64_t random_buffer_size(std::int64_t n) { return n + 8; }
HWY_INLINE const std::uint32_t* random_elements(const RngAddress& at, std::int64_t first,
                                                std::int64_t n, std::uint32_t* buffer) {
  const std::int64_t block = first / 4;
  random_blocks(at, block, (first + n + 3) / 4 - block, buffer);
  return buffer + (first - 4 * block);
}

// Multiplies row[i] by `scale` where element first + i of the stream is kept, by 0 where not.
template <class T>
HWY_INLINE void dropout_row(const RngAddress& at, std::int64_t first, std::int64_t n,
                            std::uint32_t threshold, T scale, T* row) {
  constexpr std::int64_t kPiece = 256;
  std::uint32_t buffer[random_buffer_size(kPiece)];
  for (std::int64_t begin = 0; begin < n; begin += kPiece) {
    const std::int64_t piece = std::min(kPiece, n - begin);
    const std::uint32_t* bits = random_elements(at, first + begin, piece, buffer);
    for (std::int64_t i = 0; i < piece; ++i) {
      row[begin + i] = bits[i] >= threshold ? row[begin + i] * scale : T{0};
    }
  }
}

}  // namespace tarn::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
