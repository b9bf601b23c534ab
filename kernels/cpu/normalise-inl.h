// Layer normalisation of one row; see simd-inl.h for how this is included.

#if defined(TARN_KERNELS_CPU_NORMALISE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TARN_KERNELS_CPU_NORMALISE_INL_H_
#undef TARN_KERNELS_CPU_NORMALISE_INL_H_
#else
#define TARN_KERNELS_CPU_NORMALISE_INL_H_
#endif

#include <cmath>

#include "kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tarn::kernels::cpu::HWY_NAMESPACE {

// sum of (x - mean)^2
template <class T>
HWY_INLINE T squared_distance(const T* x, T mean, std::int64_t n) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  auto total = hn::Zero(d);
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto distance = hn::Sub(hn::LoadU(d, x + i), hn::Set(d, mean));
    total = hn::MulAdd(distance, distance, total);
  }
  T rest = hn::GetLane(hn::SumOfLanes(d, total));
  for (; i < n; ++i) rest += (x[i] - mean) * (x[i] - mean);
  return rest;
}

template <class T>
struct RowMoments {
  T mean, rstd;  // rstd: 1 / sqrt(variance + eps)
};

// out = (row - mean) * rstd * weight + bias; row and out may be the same.
template <class T>
HWY_INLINE RowMoments<T> normalise_row(const T* row, const T* weight, const T* bias, T eps,
                                       std::int64_t width, T* out) {
  const T mean = sum(row, width) / static_cast<T>(width);
  const T variance = squared_distance(row, mean, width) / static_cast<T>(width);
  const T rstd = T{1} / std::sqrt(variance + eps);
  for_vectors<T>(width, [&](auto d, std::int64_t i) HWY_ATTR {
    const auto centred = hn::Sub(hn::LoadU(d, row + i), hn::Set(d, mean));
    const auto normal = hn::Mul(centred, hn::Set(d, rstd));
    hn::StoreU(hn::MulAdd(normal, hn::LoadU(d, weight + i), hn::LoadU(d, bias + i)), d, out + i);
  });
  return {mean, rstd};
}

}  // namespace tarn::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
