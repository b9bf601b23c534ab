#include <cmath>

#include "kernels/cross_entropy.h"
#include "kernels/cuda/gpu.h"
#include "kernels/cuda/warps.h"
#include "kernels/dtype_switch.h"
#include "kernels/table.h"

namespace tarn::kernels::cuda {

// Each block sums a chunk of this many rows, every 8th by one warp; the blocks' sums are added by
// one block in a fixed order.
constexpr std::int64_t kChunkRows = 32;

// partial[k, b] = what block b's rows add to totals[k].
template <class T>
__global__ void cross_entropy_rows(const T* logits, const std::int32_t* targets, const T* weights,
                                   double* partial, std::int64_t classes, std::int64_t rows) {
  TARN_SHARED(double[3][kWarps], sums);
  const unsigned warp = threadIdx.x / kWarp;
  const std::int64_t first = std::int64_t{blockIdx.x} * kChunkRows;
  const std::int64_t last = first + kChunkRows < rows ? first + kChunkRows : rows;
  double loss = 0, weight_sum = 0, correct = 0;
  for (std::int64_t r = first + warp; r < last; r += kWarps) {
    const double weight = static_cast<double>(weights[r]);
    if (weight == 0) continue;
    const T* row = logits + r * classes;
    const std::int64_t largest = index_of_largest(row, classes);
    const double normaliser = log_sum_exp(row, classes, largest);
    const std::int32_t target = targets[r];
    loss += weight * (normaliser - static_cast<double>(looked_up(row, target, classes)));
    weight_sum += weight;
    // In a row with a NaN no logit is the largest.
    if (largest == target && !std::isnan(normaliser)) correct += weight;
  }
  if (lane() == 0) {
    sums[0][warp] = loss;
    sums[1][warp] = weight_sum;
    sums[2][warp] = correct;
  }
  __syncthreads();
  if (threadIdx.x >= 3) return;
  double total = 0;
  for (int w = 0; w < kWarps; ++w) total += sums[threadIdx.x][w];
  partial[threadIdx.x * gridDim.x + blockIdx.x] = total;
}

template <class T>
__global__ void cross_entropy_totals(const double* partial, std::int64_t chunks, double* totals,
                                     T* loss) {
  TARN_SHARED(double[kThreads], sums);
  const double loss_sum = block_sum_of(partial, chunks, sums);
  const double weight_sum = block_sum_of(partial + chunks, chunks, sums);
  const double correct = block_sum_of(partial + 2 * chunks, chunks, sums);
  if (threadIdx.x != 0) return;
  totals[0] = loss_sum;
  totals[1] = weight_sum;
  totals[2] = correct;
  *loss = static_cast<T>(loss_sum / weight_sum);
}

// A row is a warp's.
template <class T>
__global__ void cross_entropy_backward_rows(const T* logits, const std::int32_t* targets,
                                            const T* weights, const double* totals,
                                            const T* grad_loss, T* grad_logits, double beta,
                                            std::int64_t classes, std::int64_t rows) {
  const std::int64_t r = warp_row();
  if (r >= rows) return;
  const T* row = logits + r * classes;
  T* grad = grad_logits + r * classes;
  const double share = static_cast<double>(*grad_loss) / totals[1];
  const double weight = share * static_cast<double>(weights[r]);
  const double normaliser =
      weight == 0 ? 0 : log_sum_exp(row, classes, index_of_largest(row, classes));
  for (std::int64_t c = lane(); c < classes; c += kWarp) {
    double g = 0;
    if (weight != 0) {
      const double p = std::exp(static_cast<double>(row[c]) - normaliser);
      g = weight * (p - (c == targets[r] ? 1.0 : 0.0));
    }
    grad[c] = static_cast<T>(beta == 0 ? g : beta * static_cast<double>(grad[c]) + g);
  }
}

namespace {

std::int64_t chunks_of(const CrossEntropyForwardArgs& args) {
  return (args.targets.elements() + kChunkRows - 1) / kChunkRows;
}

}  // namespace

std::int64_t cross_entropy_forward_scratch_bytes(const CrossEntropyForwardArgs& args) {
  return std::int64_t{sizeof(double)} * 3 * chunks_of(args);
}

void cross_entropy_forward(const CrossEntropyForwardArgs& args, Scratch scratch) {
  const std::int64_t chunks = chunks_of(args);
  auto* partial = scratch.as<double>();
  with_float_type(args.logits.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if (chunks > 0) {
      TARN_LAUNCH((cross_entropy_rows<T>), dim3(static_cast<unsigned>(chunks)), kThreads, 0,
                  args.logits.device(), args.logits.data<T>(), args.targets.data<std::int32_t>(),
                  args.weights.data<T>(), partial, args.logits.size(-1), args.targets.elements());
    }
    TARN_LAUNCH((cross_entropy_totals<T>), dim3(1), kThreads, 0, args.logits.device(), partial,
                chunks, args.totals.mutable_data<double>(), args.loss.mutable_data<T>());
  });
}

void cross_entropy_backward(const CrossEntropyBackwardArgs& args, Scratch /*none*/) {
  const std::int64_t rows = args.targets.elements();
  if (rows == 0) return;
  with_float_type(args.logits.dtype(), [&](auto zero) {
    using T = decltype(zero);
    TARN_LAUNCH((cross_entropy_backward_rows<T>), blocks_for_rows(rows), kThreads, 0,
                args.logits.device(), args.logits.data<T>(), args.targets.data<std::int32_t>(),
                args.weights.data<T>(), args.totals.data<double>(), args.grad_loss.data<T>(),
                args.grad_logits.mutable_data<T>(), args.beta, args.logits.size(-1), rows);
  });
}

}  // namespace tarn::kernels::cuda
