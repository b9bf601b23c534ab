#include "kernels/cuda/blas.h"
#include "kernels/cuda/gpu.h"
#include "kernels/cuda/unary-inl.h"
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

// The dropout of a matrix: element (row, column) draws element row * columns + column.
template <class T>
struct Dropout {
  RngAddress address;
  std::uint32_t threshold;
  T scale;
  bool on;

  Dropout(const RngAddress& at, double probability)
      : address(at),
        threshold(random_threshold(probability)),
        scale(static_cast<T>(1 / (1 - probability))),
        on(probability > 0) {}
};

// Calls f(row, column, factor) for each element of a matrix, four neighbours a thread, since that
// many are of one block of random numbers. `factor` is dropout's: 0, the scale, or 1 without it.
template <class T, class F>
__device__ void for_elements(std::int64_t rows, std::int64_t columns, const Dropout<T>& dropout,
                             const F& f) {
  const std::int64_t n = rows * columns;
  for (std::int64_t block = first_element(); 4 * block < n; block += all_threads()) {
    std::array<std::uint32_t, 4> bits{};
    if (dropout.on) bits = random_block(dropout.address, static_cast<std::uint64_t>(block));
    std::int64_t row = 4 * block / columns, column = 4 * block % columns;
    for (std::size_t j = 0; j < 4 && row < rows; ++j) {
      T factor = 1;
      if (dropout.on) factor = bits[j] >= dropout.threshold ? dropout.scale : T(0);
      f(row, column, factor);
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

// Each block of threads sums kTile columns of this many rows: threads of a warp read neighbours,
// and the rows of a column are spread over the warps.
constexpr int kTile = 32;
constexpr int kLanes = kThreads / kTile;
constexpr std::int64_t kRowsPerSum = 256;

std::int64_t sums_of(std::int64_t rows) { return (rows + kRowsPerSum - 1) / kRowsPerSum; }

template <class T>
__global__ void column_sums(Matrix<T> x, double* partial, std::int64_t rows, std::int64_t columns) {
  TARN_SHARED(double[kLanes][kTile], sums);
  const unsigned lane = threadIdx.x / kTile, offset = threadIdx.x % kTile;
  const std::int64_t column = std::int64_t{blockIdx.x} * kTile + offset;
  const std::int64_t first = std::int64_t{blockIdx.y} * kRowsPerSum;
  const std::int64_t last = first + kRowsPerSum < rows ? first + kRowsPerSum : rows;
  double sum = 0;
  if (column < columns) {
    for (std::int64_t row = first + lane; row < last; row += kLanes) {
      sum += static_cast<double>(x.at(row, column));
    }
  }
  sums[lane][offset] = sum;
  __syncthreads();
  if (lane != 0 || column >= columns) return;
  for (int other = 1; other < kLanes; ++other) sum += sums[other][offset];
  partial[blockIdx.y * columns + column] = sum;
}

template <class T>
__global__ void add_column_sums(const double* partial, std::int64_t count, T* total, double beta,
                                std::int64_t columns) {
  for (std::int64_t i = first_element(); i < columns; i += all_threads()) {
    double sum = beta == 0 ? 0 : beta * static_cast<double>(total[i]);
    for (std::int64_t c = 0; c < count; ++c) sum += partial[c * columns + i];
    total[i] = static_cast<T>(sum);
  }
}

void gemm(const GemmArgs& args, Scratch /*none*/) {
  const std::int64_t rows = args.out.size(0), columns = args.out.size(1);
  if (rows * columns == 0) return;
  const Device device = args.out.device();
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
  return std::int64_t{sizeof(double)} * sums_of(args.grad.size(0)) * args.grad.size(1);
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
    const std::int64_t count = sums_of(rows);
    if (count > 0) {
      const dim3 grid(static_cast<unsigned>((columns + kTile - 1) / kTile),
                      static_cast<unsigned>(count));
      TARN_LAUNCH((column_sums<T>), grid, kThreads, 0, device, grad, partial, rows, columns);
    }
    TARN_LAUNCH((add_column_sums<T>), blocks_for(columns), kThreads, 0, device, partial, count,
                args.grad_bias.mutable_data<T>(), args.beta_bias, columns);
  });
}

}  // namespace tarn::kernels::cuda
