#include "kernels/common/unary.h"
#include "kernels/cuda/gpu.h"
#include "kernels/dtype_switch.h"
#include "kernels/table.h"
#include "kernels/unary.h"

namespace tarn::kernels::cuda {

template <class T>
__global__ void unary_forward_elements(const T* x, Layout layout, T* out, Unary op,
                                       std::int64_t n) {
  for (std::int64_t i = first_element(); i < n; i += all_threads()) {
    out[i] = unary(op, x[offset_of(layout, i)]);
  }
}

template <class T>
__global__ void unary_backward_elements(const T* saved, const T* grad_out, T* grad_x, Unary op,
                                        T beta, std::int64_t n) {
  for (std::int64_t i = first_element(); i < n; i += all_threads()) {
    // Where relu is off, an infinite gradient counts for nothing either.
    const T derivative = unary_derivative(op, saved[i]);
    const T grad = op == Unary::relu && derivative == T(0) ? T(0) : grad_out[i] * derivative;
    grad_x[i] = beta == T(0) ? grad : beta * grad_x[i] + grad;
  }
}

void unary_forward(const UnaryForwardArgs& args, Scratch /*none*/) {
  const std::int64_t n = args.out.elements();
  if (n == 0) return;
  with_float_type(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    TARN_LAUNCH((unary_forward_elements<T>), blocks_for(n), kThreads, 0, args.out.device(),
                args.x.data<T>(), Layout(args.x.shape(), args.x.strides()),
                args.out.mutable_data<T>(), args.op, n);
  });
}

void unary_backward(const UnaryBackwardArgs& args, Scratch /*none*/) {
  const std::int64_t n = args.grad_x.elements();
  if (n == 0) return;
  with_float_type(args.grad_x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    TARN_LAUNCH((unary_backward_elements<T>), blocks_for(n), kThreads, 0, args.grad_x.device(),
                args.saved.data<T>(), args.grad_out.data<T>(), args.grad_x.mutable_data<T>(),
                args.op, args.beta, n);
  });
}

}  // namespace tarn::kernels::cuda
