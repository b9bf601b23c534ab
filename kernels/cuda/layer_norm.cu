#include <cmath>

#include "kernels/cuda/column_sums.h"
#include "kernels/cuda/dropout.h"
#include "kernels/dtype_switch.h"
#include "kernels/layer_norm.h"
#include "kernels/table.h"

namespace tarn::kernels::cuda {

// The elements of a row are drawn one by one, since rows of most widths begin within a block of
// four random numbers.
template <class T>
__device__ T dropped(const Dropout<T>& dropout, T x, std::int64_t element) {
  if (!dropout.on) return x;
  const T factor =
      dropout.factor(random_bits(dropout.address, static_cast<std::uint64_t>(element)));
  return factor == T(0) ? T(0) : x * factor;  // even where x is infinite
}

// A row is a warp's, and each thread has every 32nd element. Rows may be of any width, so a thread
// does not keep its elements but reads them again, from a cache. branch, sum, mean and rstd may be
// null. A thread reads an element before it writes that of a result, so that sum and out may be
// one.
template <class T>
__global__ void normalise_rows(const T* x, const T* branch, const T* weight, const T* bias, T* sum,
                               T* out, T* mean, T* rstd, T eps, Dropout<T> dropout,
                               std::int64_t width, std::int64_t rows) {
  const std::int64_t r = warp_row();
  if (r >= rows) return;
  const std::int64_t first = r * width;
  const T* row = x + first;
  T total = 0;
  if (branch == nullptr) {
    for (std::int64_t i = lane(); i < width; i += kWarp) total += row[i];
  } else {
    for (std::int64_t i = lane(); i < width; i += kWarp) {
      const T both = row[i] + dropped(dropout, branch[first + i], first + i);
      sum[first + i] = both;
      total += both;
    }
    row = sum + first;
  }
  const T row_mean = warp_sum(total) / static_cast<T>(width);

  T squares = 0;
  for (std::int64_t i = lane(); i < width; i += kWarp) {
    const T distance = row[i] - row_mean;
    squares += distance * distance;
  }
  const T variance = warp_sum(squares) / static_cast<T>(width);
  const T row_rstd = T(1) / std::sqrt(variance + eps);
  for (std::int64_t i = lane(); i < width; i += kWarp) {
    out[first + i] = (row[i] - row_mean) * row_rstd * weight[i] + bias[i];
  }
  if (lane() != 0) return;
  if (mean != nullptr) mean[r] = row_mean;
  if (rstd != nullptr) rstd[r] = row_rstd;
}

// What the backward reads.
template <class T>
struct NormalisedRows {
  const T *sum, *weight, *mean, *rstd, *grad_out;
  std::int64_t width, rows;

  explicit NormalisedRows(const LayerNormBackwardArgs& args)
      : sum(args.sum.data<T>()),
        weight(args.weight.data<T>()),
        mean(args.mean.data<T>()),
        rstd(args.rstd.data<T>()),
        grad_out(args.grad_out.data<T>()),
        width(args.weight.elements()),
        rows(args.sum.elements() / width) {}

  // A row with its mean taken off and divided by its deviation.
  struct Row {
    const T* sum;
    T mean, rstd;
    __device__ T operator[](std::int64_t i) const { return (sum[i] - mean) * rstd; }
  };
  __device__ Row normal(std::int64_t r) const { return {sum + r * width, mean[r], rstd[r]}; }
};

// With normal = (sum - mean) * rstd and g = grad_out * weight, the gradient of the sum is
// rstd * (g - mean(g) - normal * mean(g * normal)). Either target may be null.
template <class T>
__global__ void normalise_backward_rows(NormalisedRows<T> in, T* grad_x, T* grad_branch, T beta_x,
                                        T beta_branch, Dropout<T> dropout) {
  const std::int64_t r = warp_row();
  if (r >= in.rows) return;
  const std::int64_t first = r * in.width;
  const auto normal = in.normal(r);
  T sum = 0, sum_normal = 0;
  for (std::int64_t i = lane(); i < in.width; i += kWarp) {
    const T g = in.grad_out[first + i] * in.weight[i];
    sum += g;
    sum_normal += g * normal[i];
  }
  const T mean = warp_sum(sum) / static_cast<T>(in.width);
  const T mean_normal = warp_sum(sum_normal) / static_cast<T>(in.width);
  for (std::int64_t i = lane(); i < in.width; i += kWarp) {
    const std::int64_t at = first + i;
    const T g = in.grad_out[at] * in.weight[i];
    const T grad = (g - mean - normal[i] * mean_normal) * normal.rstd;
    if (grad_x != nullptr) grad_x[at] = beta_x == T(0) ? grad : beta_x * grad_x[at] + grad;
    if (grad_branch == nullptr) continue;
    const T kept = dropped(dropout, grad, at);
    grad_branch[at] = beta_branch == T(0) ? kept : beta_branch * grad_branch[at] + kept;
  }
}

// The gradients of weight and bias are f64 sums over chunks of rows, and those are added in order.
// partial[chunk, 0, i] and partial[chunk, 1, i] = the sums over the chunk's rows of
// grad_out * normal and of grad_out. A block has 32 columns of a chunk, and each of its warps every
// 8th row.
template <class T>
__global__ void sum_norm_columns(NormalisedRows<T> in, double* partial, std::int64_t chunk_rows) {
  TARN_SHARED(double[kThreads], weight_sums);
  TARN_SHARED(double[kThreads], bias_sums);
  const std::int64_t i = std::int64_t{blockIdx.x} * kWarp + lane();
  const std::int64_t first = std::int64_t{blockIdx.y} * chunk_rows;
  const std::int64_t last = first + chunk_rows < in.rows ? first + chunk_rows : in.rows;
  double weight_sum = 0, bias_sum = 0;
  if (i < in.width) {
    for (std::int64_t r = first + threadIdx.x / kWarp; r < last; r += kWarps) {
      const T g = in.grad_out[r * in.width + i];
      weight_sum += static_cast<double>(g * in.normal(r)[i]);
      bias_sum += static_cast<double>(g);
    }
  }
  weight_sums[threadIdx.x] = weight_sum;
  bias_sums[threadIdx.x] = bias_sum;
  __syncthreads();
  if (threadIdx.x >= kWarp || i >= in.width) return;
  for (int w = 1; w < kWarps; ++w) {
    weight_sum += weight_sums[w * kWarp + lane()];
    bias_sum += bias_sums[w * kWarp + lane()];
  }
  double* to = partial + std::int64_t{blockIdx.y} * 2 * in.width;
  to[i] = weight_sum;
  to[in.width + i] = bias_sum;
}

namespace {

// Null for a tensor that is undefined.
template <class T>
T* data_or_null(const Tensor& tensor) {
  return tensor.defined() ? tensor.mutable_data<T>() : nullptr;
}

}  // namespace

void layer_norm_forward(const LayerNormForwardArgs& args, Scratch /*none*/) {
  const std::int64_t width = args.weight.elements();
  const std::int64_t rows = args.x.elements() / width;
  if (rows == 0) return;
  with_float_type(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    TARN_LAUNCH((normalise_rows<T>), blocks_for_rows(rows), kThreads, 0, args.out.device(),
                args.x.data<T>(), data_or_null<T>(args.branch), args.weight.data<T>(),
                args.bias.data<T>(), data_or_null<T>(args.sum), args.out.mutable_data<T>(),
                data_or_null<T>(args.mean), data_or_null<T>(args.rstd), args.eps,
                Dropout<T>(args.address, args.dropout), width, rows);
  });
}

std::int64_t layer_norm_backward_scratch_bytes(const LayerNormBackwardArgs& args) {
  const std::int64_t width = args.weight.elements();
  return std::int64_t{sizeof(double)} * 2 * width * chunks_of_rows(args.sum.elements() / width);
}

void layer_norm_backward(const LayerNormBackwardArgs& args, Scratch scratch) {
  const Device device = args.sum.device();
  with_float_type(args.sum.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const NormalisedRows<T> in(args);
    if (args.grad_weight.defined() || args.grad_bias.defined()) {
      auto* partial = scratch.as<double>();
      if (in.rows > 0) {
        TARN_LAUNCH((sum_norm_columns<T>), column_sum_grid(in.rows, in.width), kThreads, 0, device,
                    in, partial, rows_per_chunk(in.rows));
      }
      const auto add = [&](const Tensor& grad, double beta, const double* sums) {
        if (!grad.defined()) return;
        TARN_LAUNCH((add_column_sums<T>), blocks_for(in.width), kThreads, 0, device, sums,
                    chunks_of_rows(in.rows), 2 * in.width, grad.mutable_data<T>(), beta, in.width);
      };
      add(args.grad_weight, args.beta_weight, partial);
      add(args.grad_bias, args.beta_bias, partial + in.width);
    }
    if (in.rows == 0 || (!args.grad_x.defined() && !args.grad_branch.defined())) return;
    TARN_LAUNCH((normalise_backward_rows<T>), blocks_for_rows(in.rows), kThreads, 0, device, in,
                data_or_null<T>(args.grad_x), data_or_null<T>(args.grad_branch), args.beta_x,
                args.beta_branch, Dropout<T>(args.address, args.dropout));
  });
}

}  // namespace tarn::kernels::cuda
