// Rounding to bf16 and the layouts of packed factors (bf16_gemm.h). See simd-inl.h for how this is
// included.

#if defined(TARN_KERNELS_CPU_BF16_PACK_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TARN_KERNELS_CPU_BF16_PACK_INL_H_
#undef TARN_KERNELS_CPU_BF16_PACK_INL_H_
#else
#define TARN_KERNELS_CPU_BF16_PACK_INL_H_
#endif

#include "kernels/common/bf16.h"
#include "kernels/cpu/bf16_gemm.h"
#include "kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tarn::kernels::cpu::HWY_NAMESPACE {

// What is transposed at once: this many lines of kDepthPairs pairs, or pairs of kWidth lines. Both
// fit the first-level cache.
constexpr std::int64_t kGroup = 16, kWidth = 64;

constexpr std::int64_t multiple_of_4(std::int64_t n) { return (n + 3) / 4 * 4; }

// The bits of rounded_to_bf16(x), in the upper half of each lane; the lower half is rubbish.
template <class V, class Words>
HWY_INLINE hn::Vec<Words> rounded_bits(Words words, V x) {
  const auto bits = hn::BitCast(words, x);
  const auto last = hn::And(hn::ShiftRight<16>(bits), hn::Set(words, 1));
  const auto rounded = hn::Add(bits, hn::Add(last, hn::Set(words, 0x7fff)));
  const auto quiet = hn::Or(bits, hn::Set(words, 0x400000));
  return hn::IfThenElse(hn::RebindMask(words, hn::IsNaN(x)), quiet, rounded);
}

template <class D, class V>
HWY_INLINE auto pairs_of(D /*d*/, V first, V second) {
  const hn::RebindToUnsigned<D> words;
  return hn::Or(hn::ShiftRight<16>(rounded_bits(words, first)),
                hn::And(rounded_bits(words, second), hn::Set(words, 0xffff0000U)));
}

HWY_INLINE std::uint32_t pair_of(float first, float second) {
  return rounded_to_bf16(first).bits | std::uint32_t{rounded_to_bf16(second).bits} << 16;
}

// Pairs of neighbours in a row of n numbers, and zeros up to a multiple of 4 pairs.
HWY_INLINE void pair_along(const float* HWY_RESTRICT row, std::int64_t n,
                           std::uint32_t* HWY_RESTRICT to) {
  const hn::ScalableTag<float> d;
  const hn::RebindToUnsigned<decltype(d)> words;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; 2 * (i + lanes) <= n; i += lanes) {
    hn::Vec<decltype(d)> first, second;
    hn::LoadInterleaved2(d, row + 2 * i, first, second);
    hn::StoreU(pairs_of(d, first, second), words, to + i);
  }
  for (; 2 * i < n; ++i) to[i] = pair_of(row[2 * i], 2 * i + 1 < n ? row[2 * i + 1] : 0);
  for (; i % 4 != 0; ++i) to[i] = 0;
}

// Pairs of the numbers of two rows; a second row that is null is of zeros.
HWY_INLINE void pair_across(const float* HWY_RESTRICT first, const float* HWY_RESTRICT second,
                            std::int64_t n, std::uint32_t* HWY_RESTRICT to) {
  for_vectors<float>(n, [&](auto d, std::int64_t i) HWY_ATTR {
    const auto other = second == nullptr ? hn::Zero(d) : hn::LoadU(d, second + i);
    hn::StoreU(pairs_of(d, hn::LoadU(d, first + i), other), hn::RebindToUnsigned<decltype(d)>(),
               to + i);
  });
}

// to[column][row] = from[row][column]; both numbers are multiples of 4.
HWY_INLINE void transpose(const std::uint32_t* HWY_RESTRICT from, std::int64_t from_stride,
                          std::int64_t rows, std::int64_t columns, std::uint32_t* HWY_RESTRICT to,
                          std::int64_t to_stride) {
  for (std::int64_t r = 0; r < rows; r += 4) {
    for (std::int64_t c = 0; c < columns; c += 4) {
      const std::uint32_t* in = from + r * from_stride + c;
      std::uint32_t* out = to + c * to_stride + r;
#if HWY_TARGET == HWY_SCALAR
      for (int i = 0; i < 4; ++i) {
        for (int j = 0; j < 4; ++j) out[j * to_stride + i] = in[i * from_stride + j];
      }
#else
      const hn::Full128<std::uint32_t> d;
      const auto row0 = hn::LoadU(d, in), row1 = hn::LoadU(d, in + from_stride);
      const auto row2 = hn::LoadU(d, in + 2 * from_stride);
      const auto row3 = hn::LoadU(d, in + 3 * from_stride);
      const auto low02 = hn::InterleaveLower(d, row0, row2);
      const auto low13 = hn::InterleaveLower(d, row1, row3);
      const auto high02 = hn::InterleaveUpper(d, row0, row2);
      const auto high13 = hn::InterleaveUpper(d, row1, row3);
      hn::StoreU(hn::InterleaveLower(d, low02, low13), d, out);
      hn::StoreU(hn::InterleaveUpper(d, low02, low13), d, out + to_stride);
      hn::StoreU(hn::InterleaveLower(d, high02, high13), d, out + 2 * to_stride);
      hn::StoreU(hn::InterleaveUpper(d, high02, high13), d, out + 3 * to_stride);
#endif
    }
  }
}

// Packs lines as [lines][kDepthPairs], with lines of zeros up to a multiple of kTileRows. There
// must be room for a multiple of 4. Lines of no numbers may be nowhere, and nothing is written.
inline void PackLines(const Factor& factor, const Part& part, std::uint32_t* to) {
  if (part.depth == 0) return;
  const std::int64_t whole = (part.lines + kTileRows - 1) / kTileRows * kTileRows;
  std::fill(to + part.lines * kDepthPairs, to + whole * kDepthPairs, 0);
  if (factor.rows_are_lines) {
    const float* row = factor.at + part.first_line * factor.stride + part.first_inner;
    for (std::int64_t i = 0; i < part.lines; ++i, row += factor.stride) {
      pair_along(row, part.depth, to + i * kDepthPairs);
    }
    return;
  }
  HWY_ALIGN std::uint32_t buffer[kGroup * kWidth];
  const std::int64_t pairs = (part.depth + 1) / 2;
  for (std::int64_t first = 0; first < pairs; first += kGroup) {
    const std::int64_t count = std::min(kGroup, pairs - first);
    for (std::int64_t line = 0; line < part.lines; line += kWidth) {
      const std::int64_t width = std::min(kWidth, part.lines - line);
      const float* row =
          factor.at + (part.first_inner + 2 * first) * factor.stride + part.first_line + line;
      for (std::int64_t p = 0; p < count; ++p, row += 2 * factor.stride) {
        const bool has_second = 2 * (first + p) + 1 < part.depth;
        pair_across(row, has_second ? row + factor.stride : nullptr, width, buffer + p * kWidth);
        std::fill(buffer + p * kWidth + width, buffer + (p + 1) * kWidth, 0);
      }
      std::fill(buffer + count * kWidth, buffer + multiple_of_4(count) * kWidth, 0);
      transpose(buffer, kWidth, multiple_of_4(count), multiple_of_4(width),
                to + line * kDepthPairs + first, kDepthPairs);
    }
  }
}

// Packs at most kTileColumns lines as a panel [pairs][kTileColumns], with zeros for those missing.
// Lines of no numbers may be nowhere, and nothing is written.
inline void PackPanel(const Factor& factor, const Part& part, std::uint32_t* to) {
  if (part.depth == 0) return;
  const std::int64_t pairs = (part.depth + 1) / 2;
  if (!factor.rows_are_lines) {
    const float* row = factor.at + part.first_inner * factor.stride + part.first_line;
    for (std::int64_t p = 0; p < pairs; ++p, row += 2 * factor.stride, to += kTileColumns) {
      const float* second = 2 * p + 1 < part.depth ? row + factor.stride : nullptr;
      pair_across(row, second, part.lines, to);
      std::fill(to + part.lines, to + kTileColumns, 0);
    }
    return;
  }
  HWY_ALIGN std::uint32_t buffer[kGroup * kDepthPairs];
  for (std::int64_t line = 0; line < kTileColumns; line += kGroup) {
    const float* row = factor.at + (part.first_line + line) * factor.stride + part.first_inner;
    for (std::int64_t i = 0; i < kGroup; ++i, row += factor.stride) {
      std::uint32_t* pairs_of_line = buffer + i * kDepthPairs;
      if (line + i < part.lines) {
        pair_along(row, part.depth, pairs_of_line);
      } else {
        std::fill(pairs_of_line, pairs_of_line + multiple_of_4(pairs), 0);
      }
    }
    transpose(buffer, kDepthPairs, kGroup, multiple_of_4(pairs), to + line, kTileColumns);
  }
}

}  // namespace tarn::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
