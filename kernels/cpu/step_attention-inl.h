// One position of one head's attention; see simd-inl.h for how this is included.

#if defined(TARN_KERNELS_CPU_STEP_ATTENTION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TARN_KERNELS_CPU_STEP_ATTENTION_INL_H_
#undef TARN_KERNELS_CPU_STEP_ATTENTION_INL_H_
#else
#define TARN_KERNELS_CPU_STEP_ATTENTION_INL_H_
#endif

#include "kernels/cpu/unary-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tarn::kernels::cpu::HWY_NAMESPACE {

// What the projections gave one head, and where its output goes.
template <class T>
struct HeadStep {
  T *query, *key;  // [E]; linear attention maps them in place
  const T* value;  // [M]
  T* out;          // [M]
  std::int64_t query_width, value_width;
};

// sum += key value^T, key_sum += key, out = query sum / (query . key_sum + eps) (eqs. 18 to 20).
// Query and key have been through the feature map. Meanwhile the sum of the next head, which lies
// behind this one in memory, is fetched into the cache.
template <class T>
void linear_head_step(const HeadStep<T>& head, T eps, T* HWY_RESTRICT sum,
                      T* HWY_RESTRICT key_sum) {
  const std::int64_t e = head.query_width, m = head.value_width;
  const T* query = head.query;
  const T* key = head.key;
  for_vectors<T>(e, [&](auto d, std::int64_t i) HWY_ATTR {
    hn::StoreU(hn::Add(hn::LoadU(d, key_sum + i), hn::LoadU(d, key + i)), d, key_sum + i);
  });
  const T inverse = T{1} / (dot(query, key_sum, e) + eps);
  for_vectors<T>(m, [&](auto d, std::int64_t j) HWY_ATTR {
    const auto value = hn::LoadU(d, head.value + j);
    auto even = hn::Zero(d), odd = hn::Zero(d);  // two chains of additions, not one
    T* at = sum + j;
    const auto move_on = [&](std::int64_t i, auto& total) HWY_ATTR {
      const auto row = hn::MulAdd(hn::Set(d, key[i]), value, hn::LoadU(d, at));
      hn::StoreU(row, d, at);
      __builtin_prefetch(at + e * m, 1);
      total = hn::MulAdd(hn::Set(d, query[i]), row, total);
      at += m;
    };
    std::int64_t i = 0;
    for (; i + 2 <= e; i += 2) {
      move_on(i, even);
      move_on(i + 1, odd);
    }
    if (i < e) move_on(i, even);
    hn::StoreU(hn::Mul(hn::Add(even, odd), hn::Set(d, inverse)), d, head.out + j);
  });
}

// weights[s] = exp(weights[s] - the largest); returns their sum.
template <class T>
HWY_INLINE T exponentials(T* weights, std::int64_t n) {
  const T largest = *std::max_element(weights, weights + n);
  for_vectors<T>(n, [&](auto d, std::int64_t s) HWY_ATTR {
    hn::StoreU(exp_or_nan(d, hn::Sub(hn::LoadU(d, weights + s), hn::Set(d, largest))), d,
               weights + s);
  });
  return sum(weights, n);
}

// out = softmax(scale * query . keys[s]) values over the first `seen` positions (eq. 2). `weights`
// is working memory for `seen` elements.
template <class T>
void softmax_head_step(const HeadStep<T>& head, T scale, const T* keys, const T* values,
                       std::int64_t seen, T* weights) {
  const std::int64_t e = head.query_width, m = head.value_width;
  for (std::int64_t s = 0; s < seen; ++s) weights[s] = scale * dot(head.query, keys + s * e, e);
  const T inverse = T{1} / exponentials(weights, seen);
  for_vectors<T>(m, [&](auto d, std::int64_t j) HWY_ATTR {
    constexpr std::int64_t kChains = 4;
    decltype(hn::Zero(d)) totals[kChains];
    for (auto& total : totals) total = hn::Zero(d);
    std::int64_t s = 0;
    for (; s + kChains <= seen; s += kChains) {
      for (std::int64_t c = 0; c < kChains; ++c) {
        totals[c] = hn::MulAdd(hn::Set(d, weights[s + c]), hn::LoadU(d, values + (s + c) * m + j),
                               totals[c]);
      }
    }
    for (; s < seen; ++s) {
      totals[0] = hn::MulAdd(hn::Set(d, weights[s]), hn::LoadU(d, values + s * m + j), totals[0]);
    }
    const auto total = hn::Add(hn::Add(totals[0], totals[1]), hn::Add(totals[2], totals[3]));
    hn::StoreU(hn::Mul(total, hn::Set(d, inverse)), d, head.out + j);
  });
}

}  // namespace tarn::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
