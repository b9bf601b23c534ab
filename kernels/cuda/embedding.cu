#include "kernels/cuda/gpu.h"
#include "kernels/cuda/warps.h"
#include "kernels/dtype_switch.h"
#include "kernels/embedding.h"
#include "kernels/table.h"

namespace tarn::kernels::cuda {

template <class T>
__global__ void gather_rows(const std::int32_t* tokens, const T* weight, T* out, Layout out_layout,
                            std::int64_t vocabulary, std::int64_t width, std::int64_t n) {
  for (std::int64_t i = first_element(); i < n; i += all_threads()) {
    const std::int64_t token = tokens[i / width];
    out[offset_of(out_layout, i)] =
        looked_up(weight, token * width + i % width, vocabulary * width);
  }
}

// Tokens that a block adds up; the rest are other blocks'. What is common among the tokens would
// otherwise keep one block busy when all others have ended.
constexpr std::int64_t kSegment = 1024;

// partial[segment][row][column] = the sum of grad_out's column over the segment's tokens that are
// `row`, in their order. A block has a row, a segment and kThreads columns: its threads look at
// kThreads tokens at once, list those that are the row, and add up a column each.
template <class T>
__global__ void sum_rows(const std::int32_t* tokens, const T* grad_out, Layout grad_layout,
                         T* partial, std::int64_t count, std::int64_t width) {
  TARN_SHARED(std::int32_t[kThreads], found);
  TARN_SHARED(int[kWarps], found_by);
  const auto row = static_cast<std::int32_t>(blockIdx.x);
  const std::int64_t column = std::int64_t{blockIdx.z} * kThreads + threadIdx.x;
  const std::int64_t begin = std::int64_t{blockIdx.y} * kSegment;
  const std::int64_t end = begin + kSegment < count ? begin + kSegment : count;
  T total = 0;
  for (std::int64_t first = begin; first < end; first += kThreads) {
    const std::int64_t t = first + threadIdx.x;
    const bool is_row = t < end && tokens[t] == row;
    const unsigned of_warp = __ballot_sync(~0U, is_row);
    const int warp = static_cast<int>(threadIdx.x) / kWarp;
    if (lane() == 0) found_by[warp] = __popc(of_warp);
    __syncthreads();
    int before = __popc(of_warp & ((1U << lane()) - 1)), all = 0;
    for (int w = 0; w < kWarps; ++w) {
      if (w < warp) before += found_by[w];
      all += found_by[w];
    }
    if (is_row) found[before] = static_cast<std::int32_t>(t - begin);
    __syncthreads();
    if (column < width) {
      for (int i = 0; i < all; ++i) {
        total += grad_out[offset_of(grad_layout, (begin + found[i]) * width + column)];
      }
    }
  }
  if (column < width) {
    partial[(std::int64_t{blockIdx.y} * gridDim.x + row) * width + column] = total;
  }
}

template <class T>
__global__ void add_partial_rows(const T* partial, std::int64_t segments, T* grad_weight, T beta,
                                 std::int64_t n) {
  for (std::int64_t i = first_element(); i < n; i += all_threads()) {
    T total = beta == T(0) ? T(0) : beta * grad_weight[i];
    for (std::int64_t s = 0; s < segments; ++s) total += partial[s * n + i];
    grad_weight[i] = total;
  }
}

void embedding_forward(const EmbeddingForwardArgs& args, Scratch /*none*/) {
  const std::int64_t n = args.out.elements();
  if (n == 0) return;
  with_float_type(args.weight.dtype(), [&](auto zero) {
    using T = decltype(zero);
    TARN_LAUNCH((gather_rows<T>), blocks_for(n), kThreads, 0, args.out.device(),
                args.tokens.data<std::int32_t>(), args.weight.data<T>(), args.out.mutable_data<T>(),
                Layout(args.out.shape(), args.out.strides()), args.weight.size(0),
                args.weight.size(1), n);
  });
}

std::int64_t embedding_backward_scratch_bytes(const EmbeddingBackwardArgs& args) {
  return quotient_up(args.tokens.elements(), kSegment) * args.grad_weight.bytes();
}

void embedding_backward(const EmbeddingBackwardArgs& args, Scratch scratch) {
  const std::int64_t n = args.grad_weight.elements(), count = args.tokens.elements();
  if (n == 0) return;
  const std::int64_t vocabulary = args.grad_weight.size(0), width = args.grad_weight.size(1);
  const std::int64_t segments = quotient_up(count, kSegment);
  with_float_type(args.grad_weight.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if (segments > 0) {
      const dim3 grid(static_cast<unsigned>(vocabulary), static_cast<unsigned>(segments),
                      static_cast<unsigned>(quotient_up(width, kThreads)));
      TARN_LAUNCH((sum_rows<T>), grid, kThreads, 0, args.grad_weight.device(),
                  args.tokens.data<std::int32_t>(), args.grad_out.data<T>(),
                  Layout(args.grad_out.shape(), args.grad_out.strides()), scratch.as<T>(), count,
                  width);
    }
    TARN_LAUNCH((add_partial_rows<T>), blocks_for(n), kThreads, 0, args.grad_weight.device(),
                scratch.as<T>(), segments, args.grad_weight.mutable_data<T>(), args.beta, n);
  });
}

}  // namespace tarn::kernels::cuda
