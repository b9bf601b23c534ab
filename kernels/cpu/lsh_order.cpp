// Hashes by random planes, and the sort of the positions by their hashes. It is a counting sort,
// since hashes are small numbers, and so positions of one hash stay in order.
#include <algorithm>
#include <cstdint>
#include <limits>

#include "kernels/cpu/heads.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/scratch.h"
#include "kernels/dtype_switch.h"
#include "kernels/lsh_attention.h"
#include "kernels/table.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/lsh_order.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// After highway.h, compiled once for a target.
#include "kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tarn::kernels::cpu::HWY_NAMESPACE {
namespace {

constexpr std::int64_t kRows = 8;  // positions at once: enough sums to hide the latency of products

// projections[i][b] = query i . plane b, for kRows queries and planes [width, bits]. Each is a sum
// over the width from first to last, whatever its neighbours: BLAS would give other bits at the
// edge of a tile, and one bit can make another hash.
template <class T>
HWY_INLINE void project(const T* const (&queries)[kRows], const T* HWY_RESTRICT planes,
                        std::int64_t width, std::int64_t bits, T* HWY_RESTRICT projections) {
  for_vectors<T>(bits, [&](auto d, std::int64_t b) HWY_ATTR {
    using V = hn::Vec<decltype(d)>;
    V sums[kRows];
    for (std::int64_t i = 0; i < kRows; ++i) sums[i] = hn::Zero(d);
    for (std::int64_t e = 0; e < width; ++e) {
      const V plane = hn::LoadU(d, planes + e * bits + b);
      for (std::int64_t i = 0; i < kRows; ++i) {
        sums[i] = hn::MulAdd(hn::Set(d, queries[i][e]), plane, sums[i]);
      }
    }
    for (std::int64_t i = 0; i < kRows; ++i) hn::StoreU(sums[i], d, projections + i * bits + b);
  });
}

// The index of the largest of [projections, -projections]; the first, among equals.
template <class T>
HWY_INLINE std::int64_t hash_of(const T* projections, std::int64_t bits) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  auto above = hn::Zero(d);
  std::int64_t b = 0;
  for (; b + lanes <= bits; b += lanes) {
    above = hn::Max(above, hn::Abs(hn::LoadU(d, projections + b)));
  }
  T largest = hn::GetLane(hn::MaxOfLanes(d, above));
  for (; b < bits; ++b) largest = std::max(largest, std::abs(projections[b]));
  for (b = 0; b < bits; ++b) {
    if (projections[b] == largest) return b;
  }
  for (b = 0; b < bits; ++b) {
    if (-projections[b] == largest) return bits + b;
  }
  return 0;
}

template <class T>
void order(const LshOrderArgs& a, std::int64_t n, std::int64_t h) {
  const Head<T> query(a.query, n, h);
  const std::int64_t length = a.query.size(1), width = a.query.size(3);
  const std::int64_t rounds = a.planes.size(0), bits = a.planes.size(2), last = 2 * bits;
  const std::int64_t valid = valid_length(a.lengths, n, length);
  T* projections = thread_scratch<T>(kRows * bits + 2 * (last + 2));
  auto* starts = reinterpret_cast<std::int32_t*>(projections + kRows * bits);
  for (std::int64_t r = 0; r < rounds; ++r) {
    const std::int64_t row = (((n * a.query.size(2)) + h) * rounds + r) * length;
    std::int32_t* buckets = a.buckets.mutable_data<std::int32_t>() + row;
    std::int32_t* order = a.order.mutable_data<std::int32_t>() + row;
    const T* planes = a.planes.data<T>() + r * width * bits;
    for (std::int64_t l = 0; l < valid; l += kRows) {
      const T* queries[kRows];
      for (std::int64_t i = 0; i < kRows; ++i) queries[i] = query.row(std::min(l + i, valid - 1));
      project(queries, planes, width, bits, projections);
      for (std::int64_t i = 0; i < std::min(kRows, valid - l); ++i) {
        buckets[l + i] = static_cast<std::int32_t>(hash_of(projections + i * bits, bits));
      }
    }
    std::fill(buckets + valid, buckets + length, static_cast<std::int32_t>(last));
    std::fill(starts, starts + last + 2, 0);
    for (std::int64_t l = 0; l < length; ++l) ++starts[buckets[l] + 1];
    for (std::int64_t b = 0; b < last; ++b) starts[b + 1] += starts[b];
    for (std::int64_t l = 0; l < length; ++l) {
      order[starts[buckets[l]]++] = static_cast<std::int32_t>(l);
    }
  }
}

void order_head(const LshOrderArgs& a, std::int64_t n, std::int64_t h) {
  with_float_type(a.query.dtype(), [&](auto zero) { order<decltype(zero)>(a, n, h); });
}

}  // namespace
}  // namespace tarn::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tarn::kernels::cpu {
namespace {

HWY_EXPORT(order_head);

}  // namespace

void lsh_order(const LshOrderArgs& a) {
  for_each_head(a.query, [&](std::int64_t n, std::int64_t h) {
    HWY_DYNAMIC_DISPATCH(order_head)(a, n, h);
  });
}

}  // namespace tarn::kernels::cpu
#endif  // HWY_ONCE
