#include "kernels/gemm.h"

#include "kernels/dtype_switch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/gemm.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
//
#include "kernels/cpu/unary-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tarn::kernels::cpu::HWY_NAMESPACE {
namespace {

// Applies bias, activation and dropout to rows [first, last) of out, which the product has written.
template <class T>
void epilogue(const GemmArgs& args, std::int64_t first, std::int64_t last) {
  const std::int64_t columns = args.out.size(1);
  const std::int64_t activated = args.activated < 0 ? columns : args.activated;
  const T* bias = args.bias.defined() ? args.bias.data<T>() : nullptr;
  const bool keep = args.pre_activation.defined();
  const T scale = static_cast<T>(1 / (1 - args.dropout));
  const std::uint32_t threshold = random_threshold(args.dropout);
  for (std::int64_t r = first; r < last; ++r) {
    T* row = args.out.mutable_data<T>() + r * args.out.strides()[0];
    if (bias != nullptr) {
      for_vectors<T>(columns, [&](auto d, std::int64_t i) HWY_ATTR {
        hn::StoreU(hn::Add(hn::LoadU(d, row + i), hn::LoadU(d, bias + i)), d, row + i);
      });
    }
    if (keep) {
      std::copy(row, row + columns,
                args.pre_activation.mutable_data<T>() + r * args.pre_activation.strides()[0]);
    }
    unary_row(args.activation, row, row, activated);
    if (args.dropout > 0) {
      dropout_row(args.address, r * columns, columns, threshold, scale, row);
    }
  }
}

// The backward pass of the epilogue on rows [first, last). Adds the sums of their columns, which
// are the gradient of the bias, to `sums` if it is not null.
template <class T>
void epilogue_backward(const LinearEpilogueBackwardArgs& args, std::int64_t first,
                       std::int64_t last, double* sums) {
  const std::int64_t columns = args.grad.size(1);
  const T scale = static_cast<T>(1 / (1 - args.dropout));
  const std::uint32_t threshold = random_threshold(args.dropout);
  const bool from_input = backward_needs_input(args.activation);
  const Tensor& saved = from_input ? args.pre_activation : args.out;
  for (std::int64_t r = first; r < last; ++r) {
    T* grad = args.grad.mutable_data<T>() + r * args.grad.strides()[0];
    if (args.dropout > 0) {
      dropout_row(args.address, r * columns, columns, threshold, scale, grad);
    }
    // After dropout the saved output is zero or scaled. Where it is zero, the gradient is zero
    // already. Where it is scaled, relu needs only its sign, but elu + 1 needs the unscaled value.
    if (args.activation == Unary::elu_plus_one && args.dropout > 0) {
      const T* row = saved.data<T>() + r * saved.strides()[0];
      for (std::int64_t i = 0; i < columns; ++i) grad[i] *= std::min(row[i] / scale, T{1});
    } else if (args.activation != Unary::identity) {
      unary_backward_row(args.activation, saved.data<T>() + r * saved.strides()[0], grad, columns);
    }
    if (sums == nullptr) continue;
    for (std::int64_t i = 0; i < columns; ++i) sums[i] += static_cast<double>(grad[i]);
  }
}

void Epilogue(const GemmArgs& args, std::int64_t first, std::int64_t last) {
  with_float_type(args.out.dtype(),
                  [&](auto zero) { epilogue<decltype(zero)>(args, first, last); });
}

void EpilogueBackward(const LinearEpilogueBackwardArgs& args, std::int64_t first, std::int64_t last,
                      double* sums) {
  with_float_type(args.grad.dtype(),
                  [&](auto zero) { epilogue_backward<decltype(zero)>(args, first, last, sums); });
}

}  // namespace
}  // namespace tarn::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "kernels/backend.h"
#include "kernels/cpu/bf16_gemm.h"
#include "kernels/cpu/blas.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/rows.h"
#include "kernels/table.h"

namespace tarn::kernels::cpu {
namespace {

HWY_EXPORT(Epilogue);
HWY_EXPORT(EpilogueBackward);

// How many rows of out are one piece of work. OpenBLAS packs b anew for each piece, so pieces
// should be large; but there should be eight or more of them, to keep the cores busy. The number
// depends on the shape alone, so that the bits do not depend on the number of threads.
std::int64_t block_rows(std::int64_t rows) {
  return std::clamp<std::int64_t>((rows / 8 + 63) / 64 * 64, 64, 512);
}

bool has_epilogue(const GemmArgs& args) {
  return args.bias.defined() || args.activation != Unary::identity || args.dropout > 0;
}

// A weight gradient is a short product over very many rows: it is cut along them, and the pieces
// are added in order.
constexpr std::int64_t kSlabDepth = 1024;
std::int64_t slabs(const GemmArgs& args) {
  if (!args.transpose_a || args.transpose_b || has_epilogue(args)) return 1;
  return std::clamp<std::int64_t>(args.a.size(0) / kSlabDepth, 1, 16);
}

template <class T>
void gemm_by_rows(const GemmArgs& args) {
  const std::int64_t rows = args.out.size(0);
  const std::int64_t inner = args.transpose_a ? args.a.size(0) : args.a.size(1);
  const std::int64_t lda = args.a.strides()[0];
  parallel_chunks(rows, block_rows(rows), [&](std::int64_t first, std::int64_t last) {
    blas_gemm(args.transpose_a, args.transpose_b, last - first, args.out.size(1), inner, T{1},
              args.a.data<T>() + (args.transpose_a ? first : first * lda), lda, args.b.data<T>(),
              args.b.strides()[0], static_cast<T>(args.beta),
              args.out.mutable_data<T>() + first * args.out.strides()[0], args.out.strides()[0]);
    if (has_epilogue(args)) HWY_DYNAMIC_DISPATCH(Epilogue)(args, first, last);
  });
}

template <class T>
void gemm_by_slabs(const GemmArgs& args, std::int64_t count, T* partial) {
  const std::int64_t rows = args.out.size(0);
  const std::int64_t columns = args.out.size(1);
  const std::int64_t inner = args.a.size(0);
  const std::int64_t depth = (inner + count - 1) / count;
  parallel_for(count, [&](std::int64_t s) {
    const std::int64_t first = s * depth;
    blas_gemm(true, false, rows, columns, std::min(depth, inner - first), T{1},
              args.a.data<T>() + first * args.a.strides()[0], args.a.strides()[0],
              args.b.data<T>() + first * args.b.strides()[0], args.b.strides()[0], T{0},
              partial + s * rows * columns, columns);
  });
  const T beta = static_cast<T>(args.beta);
  parallel_for(rows, [&](std::int64_t r) {
    T* out = args.out.mutable_data<T>() + r * args.out.strides()[0];
    for (std::int64_t i = 0; i < columns; ++i) {
      T total = beta == 0 ? T{0} : beta * out[i];
      for (std::int64_t s = 0; s < count; ++s) total += partial[(s * rows + r) * columns + i];
      out[i] = total;
    }
  });
}

}  // namespace

std::int64_t gemm_scratch_bytes(const GemmArgs& args) {
  if (args.compute != Compute::own_type) return bf16_gemm_scratch_bytes(args);
  const std::int64_t count = slabs(args);
  return count == 1 ? 0 : count * args.out.bytes();
}

void gemm(const GemmArgs& args, Scratch scratch) {
  if (args.compute != Compute::own_type) {
    check_compute(args.compute, args.out.device());
    return bf16_gemm(args, scratch, has_epilogue(args) ? HWY_DYNAMIC_DISPATCH(Epilogue) : nullptr);
  }
  with_float_type(args.out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const std::int64_t count = slabs(args);
    if (count == 1) {
      gemm_by_rows<T>(args);
    } else {
      gemm_by_slabs(args, count, scratch.as<T>());
    }
  });
}

std::int64_t linear_epilogue_backward_scratch_bytes(const LinearEpilogueBackwardArgs& args) {
  if (!args.grad_bias.defined()) return 0;
  return std::int64_t{sizeof(double)} * partial_sums(args.grad.size(0)) * args.grad.size(1);
}

void linear_epilogue_backward(const LinearEpilogueBackwardArgs& args, Scratch scratch) {
  const std::int64_t rows = args.grad.size(0);
  const std::int64_t columns = args.grad.size(1);
  if (!args.grad_bias.defined()) {
    return parallel_chunks(rows, 64, [&](std::int64_t first, std::int64_t last) {
      HWY_DYNAMIC_DISPATCH(EpilogueBackward)(args, first, last, nullptr);
    });
  }
  const std::int64_t chunk = rows_per_sum(rows);
  const std::int64_t chunks = partial_sums(rows);
  double* sums = scratch.as<double>();
  parallel_for(chunks, [&](std::int64_t c) {
    std::fill_n(sums + c * columns, columns, 0.0);
    HWY_DYNAMIC_DISPATCH(EpilogueBackward)
    (args, c * chunk, std::min(rows, (c + 1) * chunk), sums + c * columns);
  });
  with_float_type(args.grad.dtype(), [&](auto zero) {
    using T = decltype(zero);
    T* grad_bias = args.grad_bias.mutable_data<T>();
    for (std::int64_t i = 0; i < columns; ++i) {
      double total = args.beta_bias == 0 ? 0 : args.beta_bias * static_cast<double>(grad_bias[i]);
      for (std::int64_t c = 0; c < chunks; ++c) total += sums[c * columns + i];
      grad_bias[i] = static_cast<T>(total);
    }
  });
}

}  // namespace tarn::kernels::cpu
#endif  // HWY_ONCE
