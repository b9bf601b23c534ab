#include "kernels/cuda/gpu.h"
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

// A thread owns one element of the table and adds to it in the order of the tokens, so that the
// sum has the same bits each time. All threads of a warp look at the same token at once.
template <class T>
__global__ void add_rows(const std::int32_t* tokens, const T* grad_out, Layout grad_layout,
                         T* grad_weight, T beta, std::int64_t count, std::int64_t width,
                         std::int64_t n) {
  for (std::int64_t i = first_element(); i < n; i += all_threads()) {
    const std::int64_t row = i / width, column = i % width;
    T total = beta == T(0) ? T(0) : beta * grad_weight[i];
    for (std::int64_t t = 0; t < count; ++t) {
      if (tokens[t] == row) total += grad_out[offset_of(grad_layout, t * width + column)];
    }
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

void embedding_backward(const EmbeddingBackwardArgs& args, Scratch /*none*/) {
  const std::int64_t n = args.grad_weight.elements();
  if (n == 0) return;
  with_float_type(args.grad_weight.dtype(), [&](auto zero) {
    using T = decltype(zero);
    TARN_LAUNCH((add_rows<T>), blocks_for(n), kThreads, 0, args.grad_weight.device(),
                args.tokens.data<std::int32_t>(), args.grad_out.data<T>(),
                Layout(args.grad_out.shape(), args.grad_out.strides()),
                args.grad_weight.mutable_data<T>(), args.beta, args.tokens.elements(),
                args.grad_weight.size(1), n);
  });
}

}  // namespace tarn::kernels::cuda
