// Causal linear attention as a recurrence whose state stays in registers: a block of a few rows by
// two vectors of the state is loaded once, a tile of positions streams past it, and it is stored.
// That does the paper's 4 E M operations a position and no more. See simd-inl.h for how this is
// included.

#if defined(TARN_KERNELS_CPU_RECURRENCE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TARN_KERNELS_CPU_RECURRENCE_INL_H_
#undef TARN_KERNELS_CPU_RECURRENCE_INL_H_
#else
#define TARN_KERNELS_CPU_RECURRENCE_INL_H_
#endif

#include "kernels/cpu/heads.h"
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tarn::kernels::HWY_NAMESPACE {

// The block of state that the registers hold: 32 of them with AVX-512, 16 otherwise.
constexpr std::int64_t kBlockRows = HWY_TARGET == HWY_AVX3 ? 8 : 4;
constexpr std::int64_t kBlockVectors = 2;
constexpr std::int64_t kTile = 64;  // positions; four tiles of 64 x 32 floats fill an L1

// Rows of a tile, packed and padded with zeros to whole blocks. A negative stride walks backwards.
template <class T>
struct Strip {
  T* at;
  std::int64_t stride;
};

// out[t] += sum over d of a[t][d] * (state[d] + sum over s <= t of b[s][d] * x[s]), for the block
// of kBlockRows rows and kBlockVectors vectors that the pointers stand at; the state moves on.
template <class T>
HWY_INLINE void stream_block(Strip<const T> a, Strip<const T> b, Strip<const T> x, Strip<T> out,
                             T* HWY_RESTRICT state, std::int64_t state_stride,
                             std::int64_t positions) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  V s[kBlockRows][kBlockVectors];
  for (std::int64_t i = 0; i < kBlockRows; ++i) {
    for (std::int64_t j = 0; j < kBlockVectors; ++j) {
      s[i][j] = hn::Load(d, state + i * state_stride + j * lanes);
    }
  }
  for (std::int64_t t = 0; t < positions; ++t) {
    V xs[kBlockVectors], os[kBlockVectors];
    for (std::int64_t j = 0; j < kBlockVectors; ++j) {
      xs[j] = hn::Load(d, x.at + j * lanes);
      os[j] = hn::Load(d, out.at + j * lanes);
    }
    for (std::int64_t i = 0; i < kBlockRows; ++i) {
      const V bi = hn::Set(d, b.at[i]);
      const V ai = hn::Set(d, a.at[i]);
      for (std::int64_t j = 0; j < kBlockVectors; ++j) {
        s[i][j] = hn::MulAdd(bi, xs[j], s[i][j]);
        os[j] = hn::MulAdd(ai, s[i][j], os[j]);
      }
    }
    for (std::int64_t j = 0; j < kBlockVectors; ++j) hn::Store(os[j], d, out.at + j * lanes);
    a.at += a.stride;
    b.at += b.stride;
    x.at += x.stride;
    out.at += out.stride;
  }
  for (std::int64_t i = 0; i < kBlockRows; ++i) {
    for (std::int64_t j = 0; j < kBlockVectors; ++j) {
      hn::Store(s[i][j], d, state + i * state_stride + j * lanes);
    }
  }
}

// The same for a whole state of `rows` by `columns`, both padded.
template <class T>
void stream_tile(Strip<const T> a, Strip<const T> b, Strip<const T> x, Strip<T> out, T* state,
                 std::int64_t rows, std::int64_t columns, std::int64_t positions) {
  const auto step = static_cast<std::int64_t>(hn::Lanes(hn::ScalableTag<T>())) * kBlockVectors;
  for (std::int64_t c = 0; c < columns; c += step) {
    for (std::int64_t r = 0; r < rows; r += kBlockRows) {
      stream_block<T>({a.at + r, a.stride}, {b.at + r, b.stride}, {x.at + c, x.stride},
                      {out.at + c, out.stride}, state + r * columns + c, columns, positions);
    }
  }
}

// Widths round up to whole blocks in both roles, as rows and as columns of a state.
template <class T>
std::int64_t padded(std::int64_t width) {
  const auto step = static_cast<std::int64_t>(hn::Lanes(hn::ScalableTag<T>())) * kBlockVectors;
  const std::int64_t unit = std::max(step, kBlockRows);
  return (width + unit - 1) / unit * unit;
}

// Packs rows [first, first + count) of a head; rows from `valid` on become zeros.
template <class T>
HWY_INLINE void pack(const Head<const T>& head, std::int64_t first, std::int64_t count,
                     std::int64_t valid, std::int64_t width, T* HWY_RESTRICT to) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  for (std::int64_t t = 0; t < count; ++t, to += width) {
    const T* from = head.row(first + t);
    if (head.width == width && first + t < valid) {  // no tail: a call of memcpy would cost more
      for (std::int64_t i = 0; i < width; i += lanes) {
        hn::Store(hn::LoadU(d, from + i), d, to + i);
      }
      continue;
    }
    const std::int64_t kept = first + t < valid ? head.width : 0;
    std::copy(from, from + kept, to);
    std::fill(to + kept, to + width, T{0});
  }
}

// sum += scale * row over a padded width.
template <class T>
HWY_INLINE void add_scaled(const T* HWY_RESTRICT row, T scale, T* HWY_RESTRICT sum,
                           std::int64_t width) {
  const hn::ScalableTag<T> d;
  for (std::int64_t i = 0; i < width; i += static_cast<std::int64_t>(hn::Lanes(d))) {
    hn::Store(hn::MulAdd(hn::Load(d, row + i), hn::Set(d, scale), hn::Load(d, sum + i)), d,
              sum + i);
  }
}

// to = scale * row over a padded width.
template <class T>
HWY_INLINE void set_scaled(const T* HWY_RESTRICT row, T scale, T* HWY_RESTRICT to,
                           std::int64_t width) {
  const hn::ScalableTag<T> d;
  for (std::int64_t i = 0; i < width; i += static_cast<std::int64_t>(hn::Lanes(d))) {
    hn::Store(hn::Mul(hn::Load(d, row + i), hn::Set(d, scale)), d, to + i);
  }
}

}  // namespace tarn::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
