#include <cmath>

#include "kernels/cuda/gpu.h"
#include "kernels/dtype_switch.h"
#include "kernels/optimizer.h"
#include "kernels/table.h"

namespace tarn::kernels::cuda {

// The scalars of AdamStepArgs and SgdStepArgs in the tensors' type.
template <class T>
struct AdamScalars {
  T beta1, rest1, beta2, rest2, eps, step_size, v_scale, decay, l2, grad_scale;
  bool adaptive;

  explicit AdamScalars(const AdamStepArgs& a)
      : beta1(static_cast<T>(a.beta1)),
        rest1(static_cast<T>(1 - a.beta1)),
        beta2(static_cast<T>(a.beta2)),
        rest2(static_cast<T>(1 - a.beta2)),
        eps(static_cast<T>(a.eps)),
        step_size(static_cast<T>(a.step_size)),
        v_scale(static_cast<T>(a.v_scale)),
        decay(static_cast<T>(a.decay)),
        l2(static_cast<T>(a.l2)),
        grad_scale(static_cast<T>(a.grad_scale)),
        adaptive(a.adaptive) {}
};

template <class T>
__global__ void adam_elements(T* value, const T* grad, T* m, T* v, AdamScalars<T> s,
                              std::int64_t n) {
  for (std::int64_t i = first_element(); i < n; i += all_threads()) {
    const T old = value[i];
    const T g = s.grad_scale * grad[i] + s.l2 * old;
    const T new_m = s.beta1 * m[i] + s.rest1 * g;
    const T new_v = s.beta2 * v[i] + s.rest2 * (g * g);
    m[i] = new_m;
    v[i] = new_v;
    T move = s.step_size * new_m;
    if (s.adaptive) move /= std::sqrt(new_v) * s.v_scale + s.eps;
    // Not old * (1 - decay): in f32 that factor would hold only a few digits of the decay.
    value[i] = old - s.decay * old - move;
  }
}

template <class T>
__global__ void sgd_elements(T* value, const T* grad, T* velocity, T lr, T momentum, T l2,
                             T grad_scale, std::int64_t n) {
  for (std::int64_t i = first_element(); i < n; i += all_threads()) {
    const T g = grad_scale * grad[i] + l2 * value[i];
    velocity[i] = momentum * velocity[i] + g;
    value[i] -= lr * velocity[i];
  }
}

// Each block sums a chunk of this many elements; the chunks are added in order.
constexpr std::int64_t kChunk = 16384;

// What an element adds to a sum.
struct Square {
  template <class T>
  __device__ double operator()(T x) const {
    return static_cast<double>(x) * static_cast<double>(x);
  }
};
struct OneIfNonfinite {
  template <class T>
  __device__ double operator()(T x) const {
    return x - x == T(0) ? 0 : 1;  // the difference is NaN for NaN and for infinities
  }
};

template <class T, class Term>
__global__ void sum_chunk(const T* x, Term term, double* partial, std::int64_t n) {
  TARN_SHARED(double[kThreads], sums);
  const std::int64_t first = std::int64_t{blockIdx.x} * kChunk;
  const std::int64_t last = first + kChunk < n ? first + kChunk : n;
  double sum = 0;
  for (std::int64_t i = first + threadIdx.x; i < last; i += kThreads) sum += term(x[i]);
  const double total = block_sum(sum, sums);
  if (threadIdx.x == 0) partial[blockIdx.x] = total;
}

// total = the sum of the chunks' sums, by one block in a fixed order.
__global__ void add_chunks(const double* partial, std::int64_t chunks, double* total) {
  TARN_SHARED(double[kThreads], sums);
  double sum = 0;
  for (std::int64_t c = threadIdx.x; c < chunks; c += kThreads) sum += partial[c];
  const double all = block_sum(sum, sums);
  if (threadIdx.x == 0) *total = all;
}

std::int64_t chunks_of(const Tensor& x) { return (x.elements() + kChunk - 1) / kChunk; }

std::int64_t partial_bytes(const Tensor& x) { return std::int64_t{sizeof(double)} * chunks_of(x); }

// *total = the sum over x of term(element), both on x's device; in scratch of partial_bytes(x).
template <class Term>
void sum_terms(const Tensor& x, Term term, Scratch scratch, double* total) {
  auto* partial = scratch.as<double>();
  const std::int64_t chunks = chunks_of(x);
  if (chunks > 0) {
    with_float_type(x.dtype(), [&](auto zero) {
      using T = decltype(zero);
      TARN_LAUNCH((sum_chunk<T, Term>), dim3(static_cast<unsigned>(chunks)), kThreads, 0,
                  x.device(), x.data<T>(), term, partial, x.elements());
    });
  }
  TARN_LAUNCH(add_chunks, 1, kThreads, 0, x.device(), partial, chunks, total);
}

void sgd_step(const SgdStepArgs& args, Scratch /*none*/) {
  const std::int64_t n = args.value.elements();
  if (n == 0) return;
  with_float_type(args.value.dtype(), [&](auto zero) {
    using T = decltype(zero);
    TARN_LAUNCH((sgd_elements<T>), blocks_for(n), kThreads, 0, args.value.device(),
                args.value.mutable_data<T>(), args.grad.data<T>(), args.velocity.mutable_data<T>(),
                args.lr, args.momentum, args.l2, args.grad_scale, n);
  });
}

void adam_step(const AdamStepArgs& args, Scratch /*none*/) {
  const std::int64_t n = args.value.elements();
  if (n == 0) return;
  with_float_type(args.value.dtype(), [&](auto zero) {
    using T = decltype(zero);
    TARN_LAUNCH((adam_elements<T>), blocks_for(n), kThreads, 0, args.value.device(),
                args.value.mutable_data<T>(), args.grad.data<T>(), args.m.mutable_data<T>(),
                args.v.mutable_data<T>(), AdamScalars<T>(args), n);
  });
}

std::int64_t sum_of_squares_scratch_bytes(const SumOfSquaresArgs& args) {
  return partial_bytes(args.x);
}

void sum_of_squares(const SumOfSquaresArgs& args, Scratch scratch) {
  sum_terms(args.x, Square{}, scratch, args.total.mutable_data<double>() + args.index);
}

std::int64_t count_nonfinite_scratch_bytes(const CountNonfiniteArgs& args) {
  return partial_bytes(args.x);
}

void count_nonfinite(const CountNonfiniteArgs& args, Scratch scratch) {
  sum_terms(args.x, OneIfNonfinite{}, scratch, args.total.mutable_data<double>());
}

}  // namespace tarn::kernels::cuda
