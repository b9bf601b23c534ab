#include "kernels/cpu/bf16_gemm.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/bf16_gemm.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
//
#include "kernels/cpu/bf16_pack-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tarn::kernels::cpu::HWY_NAMESPACE {
namespace {

// sums[row][column] = the products of kTileRows lines and a panel, in the instruction's order: of
// each pair the second first. The product of two bf16 is exact in f32, so each addition rounds
// once.
void emulated_tile(const std::uint32_t* HWY_RESTRICT lines, const std::uint32_t* HWY_RESTRICT panel,
                   std::int64_t pairs, float* HWY_RESTRICT sums) {
  const hn::ScalableTag<float> d;
  const hn::RebindToUnsigned<decltype(d)> words;
  const auto upper = hn::Set(words, 0xffff0000U);
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  for (std::int64_t c = 0; c < kTileColumns; c += lanes) {
    hn::Vec<decltype(d)> row_sums[kTileRows];
    for (auto& sum : row_sums) sum = hn::Zero(d);
    for (std::int64_t p = 0; p < pairs; ++p) {
      const auto w = hn::Load(words, panel + p * kTileColumns + c);
      const auto first = hn::BitCast(d, hn::ShiftLeft<16>(w));
      const auto second = hn::BitCast(d, hn::And(w, upper));
      for (std::int64_t r = 0; r < kTileRows; ++r) {
        const auto x = hn::Set(words, lines[r * kDepthPairs + p]);
        const auto x_first = hn::BitCast(d, hn::ShiftLeft<16>(x));
        const auto x_second = hn::BitCast(d, hn::And(x, upper));
        row_sums[r] = hn::MulAdd(x_first, first, hn::MulAdd(x_second, second, row_sums[r]));
      }
    }
    for (std::int64_t r = 0; r < kTileRows; ++r) {
      hn::Store(row_sums[r], d, sums + r * kTileColumns + c);
    }
  }
}

#if HWY_TARGET == HWY_AVX3
// The same by the processor's instruction, which takes numbers below f32's smallest normal one for
// zero.
__attribute__((target(HWY_TARGET_STR ",avx512bf16"))) void native_tile(
    const std::uint32_t* HWY_RESTRICT lines, const std::uint32_t* HWY_RESTRICT panel,
    std::int64_t pairs, float* HWY_RESTRICT sums) {
  const hn::ScalableTag<float> d;
  const hn::RebindToUnsigned<decltype(d)> words;
  constexpr int kVectors = kTileColumns / 16;
  hn::Vec<decltype(d)> tile[kTileRows][kVectors];
  for (auto& row : tile) {
    for (auto& sum : row) sum = hn::Zero(d);
  }
  for (std::int64_t p = 0; p < pairs; ++p, panel += kTileColumns) {
    __m512bh columns[kVectors];
    for (int v = 0; v < kVectors; ++v) {
      columns[v] = reinterpret_cast<__m512bh>(hn::Load(words, panel + 16 * v).raw);
    }
    for (std::int64_t r = 0; r < kTileRows; ++r) {
      const auto x = reinterpret_cast<__m512bh>(hn::Set(words, lines[r * kDepthPairs + p]).raw);
      for (int v = 0; v < kVectors; ++v) {
        tile[r][v].raw = _mm512_dpbf16_ps(tile[r][v].raw, x, columns[v]);
      }
    }
  }
  for (std::int64_t r = 0; r < kTileRows; ++r) {
    for (int v = 0; v < kVectors; ++v) {
      hn::Store(tile[r][v], d, sums + r * kTileColumns + 16 * v);
    }
  }
}
#endif

void multiply_tile(const PackedProduct& product, std::int64_t row, std::int64_t panel,
                   float* HWY_RESTRICT sums) {
  const std::uint32_t* lines = product.lines + row * kDepthPairs;
  const std::uint32_t* columns = product.panels + panel * kDepthPairs * kTileColumns;
#if HWY_TARGET == HWY_AVX3
  if (!product.emulated) return native_tile(lines, columns, product.pairs, sums);
#endif
  emulated_tile(lines, columns, product.pairs, sums);
}

// Rows of out are far apart, and are read only when a tile is done: they are fetched meanwhile.
HWY_INLINE void fetch_rows(const float* out, std::int64_t stride, std::int64_t rows) {
  constexpr std::int64_t kLine = 64 / sizeof(float);
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = 0; c < kTileColumns; c += kLine) {
      __builtin_prefetch(out + r * stride + c, 1);
    }
  }
}

void Multiply(const PackedProduct& product) {
  HWY_ALIGN float sums[kTileRows * kTileColumns];
  for (std::int64_t column = 0; column < product.columns; column += kTileColumns) {
    const std::int64_t columns = std::min(kTileColumns, product.columns - column);
    for (std::int64_t row = 0; row < product.rows; row += kTileRows) {
      const std::int64_t rows = std::min(kTileRows, product.rows - row);
      float* out = product.out + row * product.stride + column;
      fetch_rows(out, product.stride, rows);
      multiply_tile(product, row, column / kTileColumns, sums);
      for (std::int64_t r = 0; r < rows; ++r) {
        accumulate(sums + r * kTileColumns, 1.0F, product.beta, out + r * product.stride, columns);
      }
    }
  }
}

}  // namespace
}  // namespace tarn::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/scratch.h"

namespace tarn::kernels::cpu {
namespace {

HWY_EXPORT(PackLines);
HWY_EXPORT(PackPanel);
HWY_EXPORT(Multiply);

// How many numbers of the inner dimension are packed at once: of factors as long as a batch, whose
// product is a weight's gradient, a part that stays in a cache.
constexpr std::int64_t kSlab = 4 * kDepth;

// Lines that are packed or multiplied as one piece of work: of tiles, and of what PackLines writes.
constexpr std::int64_t kLinesMultiple = 12, kMostLines = 96;

constexpr std::int64_t kPanelPairs = kDepthPairs * kTileColumns;

constexpr std::int64_t blocks(std::int64_t n, std::int64_t block) {
  return (n + block - 1) / block;
}

// A product, cut by its shape alone, so that the bits do not depend on the number of threads: each
// element of out is the sum of what its lines give from one depth to the next.
class Product {
 public:
  explicit Product(const GemmArgs& args)
      : args_(args),
        left_{args.a.data<float>(), args.a.strides()[0], !args.transpose_a, args.out.size(0),
              args.a.size(args.transpose_a ? 0 : 1)},
        right_{args.b.data<float>(), args.b.strides()[0], args.transpose_b, args.out.size(1),
               left_.inner},
        panels_(blocks(right_.lines, kTileColumns)),
        piece_(std::clamp(blocks(left_.lines, 16 * kLinesMultiple) * kLinesMultiple, kLinesMultiple,
                          kMostLines)) {}

  std::int64_t scratch_bytes() const {
    const std::int64_t pairs = depths(0) * (panels_ * kPanelPairs + left_pairs());
    return pairs * std::int64_t{sizeof(std::uint32_t)};
  }

  template <class Finish>
  void run(Scratch scratch, const Finish& finish) const {
    auto* panels = scratch.as<std::uint32_t>();
    std::int64_t slab = 0;
    do {
      auto* lines = panels + depths(slab) * panels_ * kPanelPairs;
      pack(slab, panels, lines);
      parallel_chunks(left_.lines, piece_, [&](std::int64_t row, std::int64_t last) {
        for (std::int64_t d = 0; d < depths(slab); ++d) {
          const std::int64_t first = slab + d * kDepth;
          multiply(row, last, first, panels + d * panels_ * kPanelPairs,
                   lines + d * left_pairs() + row * kDepthPairs);
        }
        if (slab + kSlab >= left_.inner) finish(row, last);
      });
      slab += kSlab;
    } while (slab < left_.inner);
  }

 private:
  // Lines that lie across the rows in memory are packed together, since a piece's own share of a
  // row may be less than what is fetched with it. Those that are rows are packed by the piece.
  bool left_is_shared() const { return !left_.rows_are_lines; }
  // Of one depth.
  std::int64_t left_pairs() const {
    return left_is_shared() ? blocks(left_.lines, kLinesMultiple) * kLinesMultiple * kDepthPairs
                            : 0;
  }
  std::int64_t depth(std::int64_t first) const { return std::min(left_.inner - first, kDepth); }
  // Of a slab. A product over no numbers has one depth too, of zeros, which writes its output.
  std::int64_t depths(std::int64_t slab) const {
    return std::max<std::int64_t>(blocks(std::min(left_.inner - slab, kSlab), kDepth), 1);
  }

  void pack(std::int64_t slab, std::uint32_t* panels, std::uint32_t* lines) const {
    const std::int64_t right = depths(slab) * panels_;
    const std::int64_t groups = left_is_shared() ? blocks(left_.lines, kMostLines) : 0;
    parallel_for(right + depths(slab) * groups, [&](std::int64_t i) {
      if (i < right) {
        const std::int64_t first = slab + i / panels_ * kDepth;
        const std::int64_t column = i % panels_ * kTileColumns;
        return HWY_DYNAMIC_DISPATCH(PackPanel)(
            right_, {column, std::min(kTileColumns, right_.lines - column), first, depth(first)},
            panels + i * kPanelPairs);
      }
      const std::int64_t d = (i - right) / groups, line = (i - right) % groups * kMostLines;
      const std::int64_t first = slab + d * kDepth;
      HWY_DYNAMIC_DISPATCH(PackLines)
      (left_, {line, std::min(kMostLines, left_.lines - line), first, depth(first)},
       lines + d * left_pairs() + line * kDepthPairs);
    });
  }

  // Adds what one depth gives to rows [row, last).
  void multiply(std::int64_t row, std::int64_t last, std::int64_t first,
                const std::uint32_t* panels, const std::uint32_t* shared_lines) const {
    const std::uint32_t* left = shared_lines;
    if (!left_is_shared()) {
      auto* own = thread_scratch<std::uint32_t>(kMostLines * kDepthPairs);
      HWY_DYNAMIC_DISPATCH(PackLines)(left_, {row, last - row, first, depth(first)}, own);
      left = own;
    }
    HWY_DYNAMIC_DISPATCH(Multiply)
    ({.lines = left,
      .panels = panels,
      .rows = last - row,
      .columns = right_.lines,
      .pairs = blocks(depth(first), 2),
      .out = args_.out.mutable_data<float>() + row * args_.out.strides()[0],
      .stride = args_.out.strides()[0],
      .beta = first == 0 ? static_cast<float>(args_.beta) : 1.0F,
      .emulated = args_.compute == Compute::bf16_emulated});
  }

  const GemmArgs& args_;
  Factor left_, right_;
  std::int64_t panels_;  // of the right factor
  std::int64_t piece_;   // rows of out
};

}  // namespace

std::int64_t bf16_gemm_scratch_bytes(const GemmArgs& args) { return Product(args).scratch_bytes(); }

void bf16_gemm(const GemmArgs& args, Scratch scratch,
               void (*finish)(const GemmArgs& args, std::int64_t first, std::int64_t last)) {
  Product(args).run(scratch, [&](std::int64_t first, std::int64_t last) {
    if (finish != nullptr) finish(args, first, last);
  });
}

}  // namespace tarn::kernels::cpu
#endif  // HWY_ONCE
