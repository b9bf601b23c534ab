// A linear layer on a few rows, whose weight is packed in panels (kernels/encoder_step.h). Each
// weight is read once for a block of rows, and the sums of the block stay in registers. A sum adds
// its terms in the order of the inputs, so that the bits of a row do not depend on the rows beside
// it. See simd-inl.h for how this is included.

#if defined(TARN_KERNELS_CPU_PANELS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TARN_KERNELS_CPU_PANELS_INL_H_
#undef TARN_KERNELS_CPU_PANELS_INL_H_
#else
#define TARN_KERNELS_CPU_PANELS_INL_H_
#endif

#include <cstddef>

#include "kernels/cpu/unary-inl.h"
#include "kernels/encoder_step.h"

HWY_BEFORE_NAMESPACE();
namespace tarn::kernels::cpu::HWY_NAMESPACE {

// How many rows have their sums in registers at once: two vectors for each row.
constexpr int kPanelRows = HWY_TARGET == HWY_AVX3 ? 8 : 4;

// Rows of a matrix, `stride` elements apart.
template <class T>
struct Matrix {
  T* at;
  std::int64_t stride;
  T* row(std::int64_t r) const { return at + r * stride; }
};

// Fetches the weights that the product will need a page further on, because the processor's own
// prefetching stops at the end of a page. It pays for a block of several rows only.
template <int kRows, class T>
HWY_INLINE void fetch_ahead(const T* weights) {
  constexpr std::size_t kAhead = 4096, kLine = 64;
  if (kRows == 1) return;
  const auto* at = reinterpret_cast<const std::byte*>(weights) + kAhead;
  for (std::size_t i = 0; i < kPanelColumns * sizeof(T); i += kLine) __builtin_prefetch(at + i);
}

// tile[r][c] = sum over k of x[r][k] * panel[k][c], for kRows rows and two vectors of columns.
template <int kRows, class T>
HWY_INLINE void multiply_block(const T* HWY_RESTRICT panel, std::int64_t in, Matrix<const T> x,
                               T* HWY_RESTRICT tile) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  hn::Vec<decltype(d)> sums[kRows][2];
  for (auto& row : sums) row[0] = row[1] = hn::Zero(d);
  for (std::int64_t k = 0; k < in; ++k, panel += kPanelColumns) {
    const auto w0 = hn::Load(d, panel);
    const auto w1 = hn::Load(d, panel + lanes);
    fetch_ahead<kRows>(panel);
    for (int r = 0; r < kRows; ++r) {
      const auto xr = hn::Set(d, x.at[r * x.stride + k]);
      sums[r][0] = hn::MulAdd(xr, w0, sums[r][0]);
      sums[r][1] = hn::MulAdd(xr, w1, sums[r][1]);
    }
  }
  for (int r = 0; r < kRows; ++r) {
    hn::Store(sums[r][0], d, tile + r * kPanelColumns);
    hn::Store(sums[r][1], d, tile + r * kPanelColumns + lanes);
  }
}

// The same with weights in bf16. A bf16 is the upper half of an f32, and the weights of two
// successive inputs lie in one 32-bit word, so that a shift or a mask turns each into an f32.
template <int kRows>
HWY_INLINE void multiply_block(const Bf16* HWY_RESTRICT panel, std::int64_t in,
                               Matrix<const float> x, float* HWY_RESTRICT tile) {
  const hn::ScalableTag<float> d;
  const hn::RebindToUnsigned<decltype(d)> words;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto upper = hn::Set(words, 0xffff0000U);
  const auto* pairs = reinterpret_cast<const std::uint32_t*>(panel);
  hn::Vec<decltype(d)> sums[kRows][2];
  for (auto& row : sums) row[0] = row[1] = hn::Zero(d);
  for (std::int64_t k = 0; k < in; k += 2, pairs += kPanelColumns) {
    const auto word0 = hn::Load(words, pairs), word1 = hn::Load(words, pairs + lanes);
    fetch_ahead<kRows>(pairs);
    const auto even0 = hn::BitCast(d, hn::ShiftLeft<16>(word0));
    const auto even1 = hn::BitCast(d, hn::ShiftLeft<16>(word1));
    const auto odd0 = hn::BitCast(d, hn::And(word0, upper));
    const auto odd1 = hn::BitCast(d, hn::And(word1, upper));
    for (int r = 0; r < kRows; ++r) {
      const auto x_even = hn::Set(d, x.at[r * x.stride + k]);
      const auto x_odd = hn::Set(d, x.at[r * x.stride + k + 1]);
      sums[r][0] = hn::MulAdd(x_odd, odd0, hn::MulAdd(x_even, even0, sums[r][0]));
      sums[r][1] = hn::MulAdd(x_odd, odd1, hn::MulAdd(x_even, even1, sums[r][1]));
    }
  }
  for (int r = 0; r < kRows; ++r) {
    hn::Store(sums[r][0], d, tile + r * kPanelColumns);
    hn::Store(sums[r][1], d, tile + r * kPanelColumns + lanes);
  }
}

// A linear layer on some rows. Only the first `columns` columns are written, though the last panel
// may have more.
template <class T>
struct Product {
  const PackedLinear& linear;
  Matrix<const T> x;
  Matrix<T> out;
  std::int64_t columns;
  Unary activation = Unary::identity;

  std::int64_t panels() const { return linear.panels.size(0); }
};

// The product of rows [first, first + kRows) and one panel, then its bias and activation.
template <int kRows, class T, class Stored>
HWY_INLINE void panel_rows(const Product<T>& product, const Stored* panel, const T* bias,
                           std::int64_t in, std::int64_t first, std::int64_t column) {
  HWY_ALIGN T tile[kRows * kPanelColumns];
  const auto step = 2 * static_cast<std::int64_t>(hn::Lanes(hn::ScalableTag<T>()));
  // Inputs side by side. NOLINTNEXTLINE(bugprone-sizeof-expression): the types differ for bf16
  constexpr std::int64_t kGroup = sizeof(T) / sizeof(Stored);
  const Matrix<const T> x{product.x.row(first), product.x.stride};
  for (std::int64_t c = 0; c < kPanelColumns; c += step) {
    multiply_block<kRows>(panel + c * kGroup, in, x, tile + c);
  }
  const std::int64_t width = std::min(kPanelColumns, product.columns - column);
  for (int r = 0; r < kRows; ++r) {
    T* row = tile + r * kPanelColumns;
    for_vectors<T>(kPanelColumns, [&](auto d, std::int64_t i) HWY_ATTR {
      hn::Store(hn::Add(hn::Load(d, row + i), hn::Load(d, bias + i)), d, row + i);
    });
    unary_row(product.activation, row, row, width);
    std::copy(row, row + width, product.out.row(first + r) + column);
  }
}

// The columns of panel `p` of the product, for all `rows` rows.
template <class Stored, class T>
void multiply_stored_panel(const Product<T>& product, std::int64_t rows, std::int64_t in,
                           std::int64_t p) {
  // NOLINTNEXTLINE(bugprone-sizeof-expression): the types differ for bf16
  constexpr std::int64_t kGroup = sizeof(T) / sizeof(Stored);
  const std::int64_t depth = (in + kGroup - 1) / kGroup * kGroup;
  const Stored* panel = product.linear.panels.template data<Stored>() + p * depth * kPanelColumns;
  const std::int64_t column = p * kPanelColumns;
  HWY_ALIGN T bias[kPanelColumns] = {};
  const T* biases = product.linear.bias.template data<T>() + column;
  std::copy(biases, biases + std::min(kPanelColumns, product.linear.bias.elements() - column),
            bias);
  std::int64_t r = 0;
  for (; r + kPanelRows <= rows; r += kPanelRows) {
    panel_rows<kPanelRows>(product, panel, bias, in, r, column);
  }
  if (kPanelRows > 4 && r + 4 <= rows) {
    panel_rows<4>(product, panel, bias, in, r, column);
    r += 4;
  }
  if (r + 2 <= rows) {
    panel_rows<2>(product, panel, bias, in, r, column);
    r += 2;
  }
  if (r < rows) panel_rows<1>(product, panel, bias, in, r, column);
}

// The same for the type that the weight is stored in.
template <class T>
void multiply_panel(const Product<T>& product, std::int64_t rows, std::int64_t in, std::int64_t p) {
  if (product.linear.panels.dtype() == DType::bf16) {
    if constexpr (sizeof(T) == sizeof(float)) multiply_stored_panel<Bf16>(product, rows, in, p);
  } else {
    multiply_stored_panel<T>(product, rows, in, p);
  }
}

}  // namespace tarn::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
