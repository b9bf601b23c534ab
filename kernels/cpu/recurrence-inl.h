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

#include "kernels/cpu/ahead.h"
#include "kernels/cpu/heads.h"
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tarn::kernels::cpu::HWY_NAMESPACE {

// The size of the block of state that the registers hold; AVX-512 has 32 registers, AVX2 has 16.
constexpr std::int64_t kBlockRows = HWY_TARGET == HWY_AVX3 ? 8 : 4;
constexpr std::int64_t kBlockVectors = 2;  // one where a single vector of columns is left
constexpr std::int64_t kTile = 32;  // positions: six tiles of 32 x 32 floats leave room in an L1
constexpr std::int64_t kMaxLanes = HWY_MAX_BYTES / 4;

// Rows of a tile, packed and padded with zeros to whole blocks. A negative stride walks backwards.
template <class T>
struct Strip {
  T* at;
  std::int64_t stride;
};

// out[t] += sum over d of a[t][d] * (state[d] + sum over s <= t of b[s][d] * x[s]), for the block
// of kBlockRows rows and `vectors` vectors that the pointers point at; the state is updated. With
// `fresh`, out starts from zero instead of what it holds.
template <std::int64_t vectors, bool fresh, class T>
HWY_INLINE void stream_block(Strip<const T> a, Strip<const T> b, Strip<const T> x, Strip<T> out,
                             T* HWY_RESTRICT state, std::int64_t state_stride,
                             std::int64_t positions, Ahead ahead, Ahead further) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  V s[kBlockRows][vectors];
  for (std::int64_t i = 0; i < kBlockRows; ++i) {
    for (std::int64_t j = 0; j < vectors; ++j) {
      s[i][j] = hn::Load(d, state + i * state_stride + j * lanes);
    }
  }
  for (std::int64_t t = 0; t < positions; ++t) {
    V xs[vectors], os[vectors];
    for (std::int64_t j = 0; j < vectors; ++j) {
      xs[j] = hn::Load(d, x.at + j * lanes);
      os[j] = fresh ? hn::Zero(d) : hn::Load(d, out.at + j * lanes);
    }
    for (std::int64_t i = 0; i < kBlockRows; ++i) {
      const V bi = hn::Set(d, b.at[i]);
      const V ai = hn::Set(d, a.at[i]);
      for (std::int64_t j = 0; j < vectors; ++j) {
        s[i][j] = hn::MulAdd(bi, xs[j], s[i][j]);
        os[j] = hn::MulAdd(ai, s[i][j], os[j]);
      }
    }
    for (std::int64_t j = 0; j < vectors; ++j) hn::Store(os[j], d, out.at + j * lanes);
    ahead.fetch_row();
    further.fetch_row();
    a.at += a.stride;
    b.at += b.stride;
    x.at += x.stride;
    out.at += out.stride;
  }
  for (std::int64_t i = 0; i < kBlockRows; ++i) {
    for (std::int64_t j = 0; j < vectors; ++j) {
      hn::Store(s[i][j], d, state + i * state_stride + j * lanes);
    }
  }
}

// The same for all rows and `vectors` vectors of columns.
template <std::int64_t vectors, bool fresh, class T>
HWY_INLINE void stream_columns(Strip<const T> a, Strip<const T> b, Strip<const T> x, Strip<T> out,
                               T* state, std::int64_t state_stride, std::int64_t rows,
                               std::int64_t positions, AheadQueue& ahead) {
  stream_block<vectors, fresh, T>(a, b, x, out, state, state_stride, positions, ahead.take(),
                                  ahead.take());
  for (std::int64_t r = kBlockRows; r < rows; r += kBlockRows) {
    stream_block<vectors, false, T>({a.at + r, a.stride}, {b.at + r, b.stride}, x, out,
                                    state + r * state_stride, state_stride, positions, ahead.take(),
                                    ahead.take());
  }
}

// The same for a whole state of `rows` by `columns`, both padded.
template <bool fresh, class T>
void stream_tile(Strip<const T> a, Strip<const T> b, Strip<const T> x, Strip<T> out, T* state,
                 std::int64_t rows, std::int64_t columns, std::int64_t positions,
                 AheadQueue& ahead) {
  const auto step = static_cast<std::int64_t>(hn::Lanes(hn::ScalableTag<T>())) * kBlockVectors;
  std::int64_t c = 0;
  for (; c + step <= columns; c += step) {
    stream_columns<kBlockVectors, fresh, T>(a, b, {x.at + c, x.stride}, {out.at + c, out.stride},
                                            state + c, columns, rows, positions, ahead);
  }
  if (c < columns) {  // one vector is left
    stream_columns<1, fresh, T>(a, b, {x.at + c, x.stride}, {out.at + c, out.stride}, state + c,
                                columns, rows, positions, ahead);
  }
}

// Widths round up to whole vectors and whole blocks of rows, to serve as either side of a state.
template <class T>
std::int64_t padding_unit() {
  return std::max(static_cast<std::int64_t>(hn::Lanes(hn::ScalableTag<T>())), kBlockRows);
}
template <class T>
std::int64_t padded(std::int64_t width) {
  return (width + padding_unit<T>() - 1) / padding_unit<T>() * padding_unit<T>();
}

// The columns of a piece of a padded state, which do not depend on those of another piece.
template <class T>
Columns columns_of_piece(std::int64_t width, std::int64_t piece, std::int64_t pieces) {
  const std::int64_t unit = padding_unit<T>(), units = padded<T>(width) / unit;
  const std::int64_t first = units * piece / pieces;
  return {first * unit, (units * (piece + 1) / pieces - first) * unit};
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

// Packs the gradient behind the division, scaled[t] = scale[t] * grad[t], and the gradient of
// the denominator, grad_sum[t] = -scale[t] * (grad[t] . out[t]).
template <class T>
HWY_INLINE void pack_gradient(const Head<const T>& grad, const Head<const T>& out,
                              std::int64_t first, std::int64_t count, const T* HWY_RESTRICT scale,
                              std::int64_t width, T* HWY_RESTRICT scaled,
                              T* HWY_RESTRICT grad_sum) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const std::int64_t whole = grad.width / lanes * lanes;
  for (std::int64_t t = 0; t < count; ++t, scaled += width) {
    const T* g = grad.row(first + t);
    const T* o = out.row(first + t);
    const auto by = hn::Set(d, scale[t]);
    auto total = hn::Zero(d);
    for (std::int64_t i = 0; i < whole; i += lanes) {
      const auto gi = hn::Mul(hn::LoadU(d, g + i), by);
      hn::Store(gi, d, scaled + i);
      total = hn::MulAdd(gi, hn::LoadU(d, o + i), total);
    }
    T rest = hn::GetLane(hn::SumOfLanes(d, total));
    for (std::int64_t i = whole; i < grad.width; ++i) {
      scaled[i] = g[i] * scale[t];
      rest += scaled[i] * o[i];
    }
    if (grad.width < width) std::fill(scaled + grad.width, scaled + width, T{0});
    grad_sum[t] = -rest;
  }
}

// sums[t] = dot(a[t], sum over s <= t of b[s], plus what `sum` held before), over padded widths.
// `partial` has room for a vector a position.
template <class T>
HWY_INLINE void running_dots(Strip<const T> a, Strip<const T> b, T* HWY_RESTRICT sum,
                             std::int64_t width, std::int64_t positions, T* HWY_RESTRICT partial,
                             T* HWY_RESTRICT sums) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  for (std::int64_t i = 0; i < width; i += lanes) {
    auto total = hn::Load(d, sum + i);
    for (std::int64_t t = 0; t < positions; ++t) {
      total = hn::Add(total, hn::Load(d, b.at + t * b.stride + i));
      const auto before = i == 0 ? hn::Zero(d) : hn::Load(d, partial + t * lanes);
      hn::Store(hn::MulAdd(hn::Load(d, a.at + t * a.stride + i), total, before), d,
                partial + t * lanes);
    }
    hn::Store(total, d, sum + i);
  }
  for (std::int64_t t = 0; t < positions; ++t) {
    sums[t] = hn::GetLane(hn::SumOfLanes(d, hn::Load(d, partial + t * lanes)));
  }
}

// Walks a tile's positions with a running sum over b, which `sum` carries from tile to tile:
// position t adds into[t] * b[t], and out[t] becomes out_scale[t] * the sum. Padded widths.
template <class T>
HWY_INLINE void running_sums(Strip<const T> b, Strip<const T> into, Strip<const T> out_scale,
                             Strip<T> out, T* HWY_RESTRICT sum, std::int64_t width,
                             std::int64_t positions) {
  const hn::ScalableTag<T> d;
  for (std::int64_t i = 0; i < width; i += static_cast<std::int64_t>(hn::Lanes(d))) {
    auto total = hn::Load(d, sum + i);
    for (std::int64_t t = 0; t < positions; ++t) {
      const auto added = hn::Load(d, b.at + t * b.stride + i);
      total = hn::MulAdd(hn::Set(d, into.at[t * into.stride]), added, total);
      const auto scale = hn::Set(d, out_scale.at[t * out_scale.stride]);
      hn::Store(hn::Mul(scale, total), d, out.at + t * out.stride + i);
    }
    hn::Store(total, d, sum + i);
  }
}

}  // namespace tarn::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
