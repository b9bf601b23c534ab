#include "kernels/backend.h"
#include "kernels/common/unary.h"
#include "kernels/cuda/blas.h"
#include "kernels/cuda/column_sums.h"
#include "kernels/cuda/dropout.h"
#include "kernels/dtype_switch.h"
#include "kernels/gemm.h"
#include "kernels/table.h"

namespace tarn::kernels::cuda {

// A matrix with its rows apart. Where it is not there, data is null.
template <class T>
struct Matrix {
  T* data = nullptr;
  std::int64_t stride = 0;

  __device__ T& at(std::int64_t row, std::int64_t column) const {
    return data[row * stride + column];
  }
};

template <class T>
Matrix<T> matrix_of(const Tensor& x) {
  if (!x.defined()) return {};
  return {x.mutable_data<T>(), x.strides()[0]};
}

// Calls f(row, column, factor) for each element of a matrix, four neighbours a thread, since that
// many are of one block of random numbers. `factor` is dropout's; element (row, column) draws
// element row * columns + column.
template <class T, class F>
__device__ void for_elements(std::int64_t rows, std::int64_t columns, const Dropout<T>& dropout,
                             const F& f) {
  const std::int64_t n = rows * columns;
  for (std::int64_t block = first_element(); 4 * block < n; block += all_threads()) {
    std::array<std::uint32_t, 4> bits{};
    if (dropout.on) bits = random_block(dropout.address, static_cast<std::uint64_t>(block));
    std::int64_t row = 4 * block / columns, column = 4 * block % columns;
    for (std::size_t j = 0; j < 4 && row < rows; ++j) {
      f(row, column, dropout.factor(bits[j]));
      if (++column == columns) {
        column = 0;
        ++row;
      }
    }
  }
}

template <class T>
__global__ void epilogue_elements(Matrix<T> out, const T* bias, Matrix<T> pre_activation, Unary op,
                                  std::int64_t activated, Dropout<T> dropout, std::int64_t rows,
                                  std::int64_t columns) {
  for_elements(rows, columns, dropout, [&](std::int64_t row, std::int64_t column, T factor) {
    T x = out.at(row, column);
    if (bias != nullptr) x += bias[column];
    if (pre_activation.data != nullptr) pre_activation.at(row, column) = x;
    if (column < activated) x = unary(op, x);
    out.at(row, column) = factor == T(0) ? T(0) : x * factor;  // even where x is infinite
  });
}

template <class T>
__global__ void epilogue_backward_elements(Matrix<T> grad, Matrix<T> saved, Unary op,
                                           Dropout<T> dropout, std::int64_t rows,
                                           std::int64_t columns) {
  for_elements(rows, columns, dropout, [&](std::int64_t row, std::int64_t column, T factor) {
    T& g = grad.at(row, column);
    if (factor == T(0)) {
      g = 0;
      return;
    }
    T derivative = 1;
    if (op != Unary::identity) {
      // The output was saved after dropout, which scaled it.
      T of = saved.at(row, column);
      if (!backward_needs_input(op)) of /= factor;
      derivative = unary_derivative(op, of);
    }
    // Where relu is off, an infinite gradient counts for nothing either.
    g = derivative == T(0) && op == Unary::relu ? T(0) : g * factor * derivative;
  });
}

// Each block of threads sums 32 columns of a chunk of rows: threads of a warp read neighbours, and
// the rows of a column are spread over the warps.
template <class T>
__global__ void column_sums(Matrix<T> x, double* partial, std::int64_t chunk_rows,
                            std::int64_t rows, std::int64_t columns) {
  TARN_SHARED(double[kWarps][kWarp], sums);
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const std::int64_t column = std::int64_t{blockIdx.x} * kWarp + lane();
  const std::int64_t first = std::int64_t{blockIdx.y} * chunk_rows;
  const std::int64_t last = first + chunk_rows < rows ? first + chunk_rows : rows;
  double sum = 0;
  if (column < columns) {
    for (std::int64_t row = first + warp; row < last; row += kWarps) {
      sum += static_cast<double>(x.at(row, column));
    }
  }
  sums[warp][lane()] = sum;
  __syncthreads();
  if (warp != 0 || column >= columns) return;
  for (int w = 1; w < kWarps; ++w) sum += sums[w][lane()];
  partial[blockIdx.y * columns + column] = sum;
}

void gemm(const GemmArgs& args, Scratch /*none*/) {
  const std::int64_t rows = args.out.size(0), columns = args.out.size(1);
  if (rows * columns == 0) return;
  const Device device = args.out.device();
  check_compute(args.compute, device);
  with_float_type(args.out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    blas_gemm<T>(device, args.transpose_a, args.transpose_b, rows, columns,
                 args.a.size(args.transpose_a ? 0 : 1), args.a.data<T>(), args.a.strides()[0],
                 args.b.data<T>(), args.b.strides()[0], static_cast<T>(args.beta),
                 args.out.mutable_data<T>(), args.out.strides()[0]);
    if (!args.bias.defined() && args.activation == Unary::identity && args.dropout == 0) return;
    TARN_LAUNCH((epilogue_elements<T>), blocks_for((rows * columns + 3) / 4), kThreads, 0, device,
                matrix_of<T>(args.out), args.bias.defined() ? args.bias.data<T>() : nullptr,
                matrix_of<T>(args.pre_activation), args.activation,
                args.activated < 0 ? columns : args.activated,
                Dropout<T>(args.address, args.dropout), rows, columns);
  });
}

std::int64_t linear_epilogue_backward_scratch_bytes(const LinearEpilogueBackwardArgs& args) {
  if (!args.grad_bias.defined()) return 0;
  return std::int64_t{sizeof(double)} * chunks_of_rows(args.grad.size(0)) * args.grad.size(1);
}

void linear_epilogue_backward(const LinearEpilogueBackwardArgs& args, Scratch scratch) {
  const std::int64_t rows = args.grad.size(0), columns = args.grad.size(1);
  if (columns == 0) return;
  const Device device = args.grad.device();
  with_float_type(args.grad.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto grad = matrix_of<T>(args.grad);
    if (rows > 0 && (args.activation != Unary::identity || args.dropout > 0)) {
      const bool from_input = backward_needs_input(args.activation);
      TARN_LAUNCH((epilogue_backward_elements<T>), blocks_for((rows * columns + 3) / 4), kThreads,
                  0, device, grad, matrix_of<T>(from_input ? args.pre_activation : args.out),
                  args.activation, Dropout<T>(args.address, args.dropout), rows, columns);
    }
    if (!args.grad_bias.defined()) return;
    auto* partial = scratch.as<double>();
    if (rows > 0) {
      TARN_LAUNCH((column_sums<T>), column_sum_grid(rows, columns), kThreads, 0, device, grad,
                  partial, rows_per_chunk(rows), rows, columns);
    }
    TARN_LAUNCH((add_column_sums<T>), blocks_for(columns), kThreads, 0, device, partial,
                chunks_of_rows(rows), columns, args.grad_bias.mutable_data<T>(), args.beta_bias,
                columns);
  });
}

}  // namespace tarn::kernels::cuda
