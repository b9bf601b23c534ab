// What an LSTM's steps are made of: the product of a few rows by one matrix that every step reads
// again, and the gates. BLAS packs the matrix at each step, which took half of the time of 8 rows;
// here that is done once a sequence.
// See simd-inl.h for how this is included.

#if defined(TARN_KERNELS_CPU_LSTM_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TARN_KERNELS_CPU_LSTM_INL_H_
#undef TARN_KERNELS_CPU_LSTM_INL_H_
#else
#define TARN_KERNELS_CPU_LSTM_INL_H_
#endif

#include "hwy/contrib/math/math-inl.h"
#include "kernels/cpu/lstm_group.h"
#include "kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tarn::kernels::cpu::HWY_NAMESPACE {

// The block of sums that stays in registers: kPanelRows rows by kPanelVectors vectors. The vectors
// together are one panel, of at most kWidestPanel columns.
constexpr std::int64_t kPanelRows = HWY_TARGET == HWY_AVX3 ? 8 : 4;
constexpr std::int64_t kPanelVectors = 2;
template <class T>
using PanelTag = hn::CappedTag<T, kWidestPanel / kPanelVectors>;

template <class T>
std::int64_t panel_width() {
  return kPanelVectors * static_cast<std::int64_t>(hn::Lanes(PanelTag<T>()));
}

// A matrix [depth, columns] as panels of a few columns, each contiguous in the order in which a
// product reads it. The last one is filled up with zeros.
template <class T>
struct Panels {
  T* at;
  std::int64_t depth, columns;

  std::int64_t count() const { return (columns + panel_width<T>() - 1) / panel_width<T>(); }
  std::int64_t padded_columns() const { return count() * panel_width<T>(); }
  T* panel(std::int64_t p) const { return at + p * panel_width<T>() * depth; }

  // Element (k, c) is read at from[k * row_stride + c * column_stride].
  void pack(const T* from, std::int64_t row_stride, std::int64_t column_stride) const {
    const std::int64_t width = panel_width<T>();
    for (std::int64_t p = 0; p < count(); ++p) {
      T* to = panel(p);
      const T* corner = from + p * width * column_stride;
      const std::int64_t kept = std::min(width, columns - p * width);
      for (std::int64_t k = 0; k < depth; ++k, to += width) {
        for (std::int64_t c = 0; c < kept; ++c) to[c] = corner[k * row_stride + c * column_stride];
        std::fill(to + kept, to + width, T{0});
      }
    }
  }
};

// out[r] = a[r] * panel for kRows rows. The rows of a are `depth` elements apart, those of out
// `out_stride`.
template <std::int64_t kRows, class T>
HWY_INLINE void panel_rows(const T* HWY_RESTRICT a, const T* HWY_RESTRICT panel, std::int64_t depth,
                           T* HWY_RESTRICT out, std::int64_t out_stride) {
  const PanelTag<T> d;
  using V = hn::Vec<decltype(d)>;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  V sums[kRows][kPanelVectors];
  for (std::int64_t r = 0; r < kRows; ++r) {
    for (std::int64_t j = 0; j < kPanelVectors; ++j) sums[r][j] = hn::Zero(d);
  }
  for (std::int64_t k = 0; k < depth; ++k, panel += kPanelVectors * lanes) {
    V row[kPanelVectors];
    for (std::int64_t j = 0; j < kPanelVectors; ++j) row[j] = hn::LoadU(d, panel + j * lanes);
    for (std::int64_t r = 0; r < kRows; ++r) {
      const V factor = hn::Set(d, a[r * depth + k]);
      for (std::int64_t j = 0; j < kPanelVectors; ++j) {
        sums[r][j] = hn::MulAdd(factor, row[j], sums[r][j]);
      }
    }
  }
  for (std::int64_t r = 0; r < kRows; ++r) {
    for (std::int64_t j = 0; j < kPanelVectors; ++j) {
      hn::StoreU(sums[r][j], d, out + r * out_stride + j * lanes);
    }
  }
}

// out = a b for `rows` rows of a [rows, depth] and of out [rows, padded columns]. Each element is
// one sum in the order of k, whatever the rows beside it.
template <class T>
void product(const T* a, const Panels<T>& b, std::int64_t rows, T* out) {
  const std::int64_t depth = b.depth, stride = b.padded_columns();
  for (std::int64_t p = 0; p < b.count(); ++p) {
    const T* panel = b.panel(p);
    T* to = out + p * panel_width<T>();
    std::int64_t r = 0;
    for (; r + kPanelRows <= rows; r += kPanelRows) {
      panel_rows<kPanelRows>(a + r * depth, panel, depth, to + r * stride, stride);
    }
    for (; r + 4 <= rows; r += 4) {
      panel_rows<4>(a + r * depth, panel, depth, to + r * stride, stride);
    }
    for (; r + 2 <= rows; r += 2) {
      panel_rows<2>(a + r * depth, panel, depth, to + r * stride, stride);
    }
    if (r < rows) panel_rows<1>(a + r * depth, panel, depth, to + r * stride, stride);
  }
}

// Highway's exp casts its argument to an integer, which is undefined for a NaN. So these functions
// give it a 0 instead of a NaN, and return the NaN.

// 1 / (1 + exp(-x)) without overflow on either side.
template <class D, class V>
HWY_INLINE V sigmoid(D d, V x) {
  const auto nan = hn::IsNaN(x);
  const auto one = hn::Set(d, 1);
  const auto small = hn::Exp(d, hn::Neg(hn::Abs(hn::IfThenZeroElse(nan, x))));
  const auto above = hn::IfThenElse(hn::Ge(x, hn::Zero(d)), one, small);
  return hn::IfThenElse(nan, x, hn::Div(above, hn::Add(one, small)));
}

template <class D, class V>
HWY_INLINE V tanh(D d, V x) {
  const auto nan = hn::IsNaN(x);
  return hn::IfThenElse(nan, x, hn::Tanh(d, hn::IfThenZeroElse(nan, x)));
}

// One frame of one sequence. `gates` holds the product of the input and is overwritten with the
// gates; `recurrent` holds the product of the previous frame's output. Updates the cell in place.
template <class T>
HWY_INLINE void cell_forward(const T* HWY_RESTRICT recurrent, std::int64_t hidden,
                             T* HWY_RESTRICT gates, T* HWY_RESTRICT cell, T* HWY_RESTRICT out) {
  for_vectors<T>(hidden, [&](auto d, std::int64_t i) HWY_ATTR {
    const auto sum = [&](std::int64_t gate) HWY_ATTR {
      const std::int64_t at = gate * hidden + i;
      return hn::Add(hn::LoadU(d, gates + at), hn::LoadU(d, recurrent + at));
    };
    const auto input = sigmoid(d, sum(0));
    const auto forget = sigmoid(d, sum(1));
    const auto candidate = tanh(d, sum(2));
    const auto output = sigmoid(d, sum(3));
    const auto next = hn::MulAdd(forget, hn::LoadU(d, cell + i), hn::Mul(input, candidate));
    hn::StoreU(input, d, gates + i);
    hn::StoreU(forget, d, gates + hidden + i);
    hn::StoreU(candidate, d, gates + 2 * hidden + i);
    hn::StoreU(output, d, gates + 3 * hidden + i);
    hn::StoreU(next, d, cell + i);
    hn::StoreU(hn::Mul(output, tanh(d, next)), d, out + i);
  });
}

// The backward pass of cell_forward. `gates` is overwritten with the gradient of the sums that the
// gates were computed from, which is also copied to `grads`. The gradient of the output is
// grad_out + grad_recurrent. `grad_cell` holds the gradient of the cell and is overwritten with
// that of last_cell.
template <class T>
HWY_INLINE void cell_backward(const T* HWY_RESTRICT grad_out, const T* HWY_RESTRICT grad_recurrent,
                              const T* HWY_RESTRICT cell, const T* HWY_RESTRICT last_cell,
                              std::int64_t hidden, T* HWY_RESTRICT gates, T* HWY_RESTRICT grad_cell,
                              T* HWY_RESTRICT grads) {
  for_vectors<T>(hidden, [&](auto d, std::int64_t i) HWY_ATTR {
    const auto one = hn::Set(d, 1);
    const auto input = hn::LoadU(d, gates + i);
    const auto forget = hn::LoadU(d, gates + hidden + i);
    const auto candidate = hn::LoadU(d, gates + 2 * hidden + i);
    const auto output = hn::LoadU(d, gates + 3 * hidden + i);
    const auto squashed = tanh(d, hn::LoadU(d, cell + i));
    const auto g = hn::Add(hn::LoadU(d, grad_out + i), hn::LoadU(d, grad_recurrent + i));
    const auto through = hn::Mul(g, output);
    const auto c = hn::Add(hn::LoadU(d, grad_cell + i),
                           hn::NegMulAdd(hn::Mul(squashed, squashed), through, through));
    const auto store = [&](std::int64_t gate, auto value) HWY_ATTR {
      hn::StoreU(value, d, gates + gate * hidden + i);
      hn::StoreU(value, d, grads + gate * hidden + i);
    };
    // The derivative of a sigmoid with value s is s (1 - s).
    const auto derivative = [&](auto s) HWY_ATTR { return hn::Mul(s, hn::Sub(one, s)); };
    store(0, hn::Mul(hn::Mul(c, candidate), derivative(input)));
    store(1, hn::Mul(hn::Mul(c, hn::LoadU(d, last_cell + i)), derivative(forget)));
    store(2, hn::Mul(hn::Mul(c, input), hn::NegMulAdd(candidate, candidate, one)));
    store(3, hn::Mul(hn::Mul(g, squashed), derivative(output)));
    hn::StoreU(hn::Mul(c, forget), d, grad_cell + i);
  });
}

}  // namespace tarn::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
