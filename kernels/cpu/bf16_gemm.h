// The product of f32 matrices whose elements are rounded to bf16, with sums in f32.
//
// Both factors are packed, which rounds them: the right one as panels of kTileColumns columns, the
// left one as lines. A pair is two neighbours along the inner dimension, the first in the lower
// half of 32 bits, as the processor's instructions take them. Where there is no second, it is zero.
#pragma once

#include "kernels/gemm.h"
#include "kernels/table.h"

namespace tarn::kernels::cpu {

// A tile of sums stays in registers while kDepth numbers of each of its lines and columns stream
// past; then it is added to the output. A panel of that depth just fits the first-level cache.
constexpr std::int64_t kTileRows = 6, kTileColumns = 64;
constexpr std::int64_t kDepth = 256, kDepthPairs = kDepth / 2;

// Where the product reads a factor: lines of numbers along the inner dimension, the rows of op(a)
// or the columns of op(b).
struct Factor {
  const float* at = nullptr;
  std::int64_t stride = 0;     // from one row in memory to the next
  bool rows_are_lines = true;  // or else a row holds one number of each line
  std::int64_t lines = 0, inner = 0;
};

// A part of a factor to be packed: so many lines from a first one, and of each so many numbers from
// a first one, at most kDepth.
struct Part {
  std::int64_t first_line = 0, lines = 0, first_inner = 0, depth = 0;
};

// out += lines * panels, both of one depth; or out = beta * out + lines * panels.
struct PackedProduct {
  const std::uint32_t* lines = nullptr;   // [rows][kDepthPairs]
  const std::uint32_t* panels = nullptr;  // [panels][kDepthPairs][kTileColumns]
  std::int64_t rows = 0, columns = 0, pairs = 0;
  float* out = nullptr;
  std::int64_t stride = 0;
  float beta = 1;
  bool emulated = false;
};

std::int64_t bf16_gemm_scratch_bytes(const GemmArgs& args);

// As gemm() of f32 matrices, but for the epilogue: finish(args, first, last) is called, if it is
// not null, as soon as rows [first, last) of the product are written.
void bf16_gemm(const GemmArgs& args, Scratch scratch,
               void (*finish)(const GemmArgs& args, std::int64_t first, std::int64_t last));

}  // namespace tarn::kernels::cpu
