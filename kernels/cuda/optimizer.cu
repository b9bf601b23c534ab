#include <cmath>

#include "kernels/cuda/chunks.h"
#include "kernels/cuda/gpu.h"
#include "kernels/dtype_switch.h"
#include "kernels/optimizer.h"
#include "kernels/table.h"

namespace tarn::kernels::cuda {

// The scalars of AdamStepArgs in the tensors' type.
template <class T>
struct AdamScalars {
  T beta1, rest1, beta2, rest2, eps, step_size, v_scale, decay, l2;
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
        adaptive(a.adaptive) {}
};

template <class T>
struct AdamTensors {
  T* value;
  const T* grad;
  T *m, *v;
};

// What of Gradients the kernels read.
struct Clipping {
  const double *scales, *stopped;

  explicit Clipping(const Gradients& gradients)
      : scales(gradients.scales.defined() ? gradients.scales.data<double>() : nullptr),
        stopped(gradients.stopped.defined() ? gradients.stopped.data<double>() : nullptr) {}

  __device__ bool stops() const { return stopped != nullptr && *stopped != 0; }
  template <class T>
  __device__ T scale(std::int64_t tensor) const {
    return scales == nullptr ? T(1) : static_cast<T>(scales[tensor]);
  }
};

template <class T>
__global__ void adam_chunks(Chunks<AdamTensors<T>> chunks, Clipping clipping, AdamScalars<T> s) {
  if (clipping.stops()) return;
  const auto chunk = chunks.of_block();
  const AdamTensors<T>& t = chunks.tensors[chunk.place];
  const T grad_scale = clipping.scale<T>(chunks.first_tensor + chunk.place);
  for (std::int64_t i = chunk.first + threadIdx.x; i < chunk.last; i += kThreads) {
    const T old = t.value[i];
    const T g = grad_scale * t.grad[i] + s.l2 * old;
    const T new_m = s.beta1 * t.m[i] + s.rest1 * g;
    const T new_v = s.beta2 * t.v[i] + s.rest2 * (g * g);
    t.m[i] = new_m;
    t.v[i] = new_v;
    T move = s.step_size * new_m;
    if (s.adaptive) move /= std::sqrt(new_v) * s.v_scale + s.eps;
    // Not old * (1 - decay): in f32 that factor would hold only a few digits of the decay.
    t.value[i] = old - s.decay * old - move;
  }
}

template <class T>
struct SgdTensors {
  T* value;
  const T* grad;
  T* velocity;
};

template <class T>
__global__ void sgd_chunks(Chunks<SgdTensors<T>> chunks, Clipping clipping, T lr, T momentum,
                           T l2) {
  if (clipping.stops()) return;
  const auto chunk = chunks.of_block();
  const SgdTensors<T>& t = chunks.tensors[chunk.place];
  const T grad_scale = clipping.scale<T>(chunks.first_tensor + chunk.place);
  for (std::int64_t i = chunk.first + threadIdx.x; i < chunk.last; i += kThreads) {
    const T g = grad_scale * t.grad[i] + l2 * t.value[i];
    t.velocity[i] = momentum * t.velocity[i] + g;
    t.value[i] -= lr * t.velocity[i];
  }
}

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

template <class T>
struct Summed {
  const T* x;
};

// partial[b] = the sum of the terms of block b's chunk.
template <class T, class Term>
__global__ void sum_chunks(Chunks<Summed<T>> chunks, Term term, double* partial) {
  TARN_SHARED(double[kThreads], sums);
  const auto chunk = chunks.of_block();
  const T* x = chunks.tensors[chunk.place].x;
  double sum = 0;
  for (std::int64_t i = chunk.first + threadIdx.x; i < chunk.last; i += kThreads) sum += term(x[i]);
  const double total = block_sum(sum, sums);
  if (threadIdx.x == 0) partial[blockIdx.x] = total;
}

// totals[i] = the sum of tensor i's chunks, by one block a tensor in a fixed order.
template <class T>
__global__ void add_chunks(Chunks<Summed<T>> chunks, const double* partial, double* totals) {
  TARN_SHARED(double[kThreads], sums);
  const int first = chunks.first_block[blockIdx.x], last = chunks.first_block[blockIdx.x + 1];
  const double total = block_sum_of(partial + first, last - first, sums);
  if (threadIdx.x == 0) totals[blockIdx.x] = total;
}

// totals[i] = the sum over x[i] of term(element), all on one device; scratch of partial_bytes(x).
template <class Term>
void sum_terms(const std::vector<Tensor>& x, Term term, Scratch scratch, double* totals) {
  if (x.empty()) return;
  const Device device = x.front().device();
  with_float_type(x.front().dtype(), [&](auto zero) {
    using T = decltype(zero);
    for_chunks<Summed<T>>(
        x, [&](std::size_t i) { return Summed<T>{x[i].data<T>()}; },
        [&](const Chunks<Summed<T>>& chunks) {
          auto* partial = scratch.as<double>();
          if (chunks.blocks() > 0) {
            TARN_LAUNCH((sum_chunks<T, Term>), chunks.grid(), kThreads, 0, device, chunks, term,
                        partial);
          }
          TARN_LAUNCH((add_chunks<T>), dim3(static_cast<unsigned>(chunks.count)), kThreads, 0,
                      device, chunks, partial, totals + chunks.first_tensor);
        });
  });
}

// The next launch may use the same memory, since a device's kernels run one after another.
std::int64_t partial_bytes(const std::vector<Tensor>& x) {
  std::int64_t chunks = 0;
  for (const Tensor& tensor : x) chunks += chunks_of(tensor);
  return std::int64_t{sizeof(double)} * chunks;
}

// By one thread: there are a few hundred numbers, and the order in which they are added is fixed.
__global__ void clip_scales_all(const double* squares, std::int64_t count, const double* watched,
                                std::int64_t watched_count, double max_norm, bool per_tensor,
                                double* scales, double* norm, double* stopped) {
  double total = 0;
  for (std::int64_t i = 0; i < count; ++i) total += std::sqrt(squares[i]) * std::sqrt(squares[i]);
  const double global = std::sqrt(total);
  for (std::int64_t i = 0; i < count; ++i) {
    const double clipped = max_norm / ((per_tensor ? std::sqrt(squares[i]) : global) + 1e-6);
    scales[i] = max_norm > 0 && clipped < 1 ? clipped : 1;
  }
  *norm = global;
  bool finite = global - global == 0;
  for (std::int64_t i = 0; i < watched_count; ++i) finite &= watched[i] - watched[i] == 0;
  if (!finite) *stopped = 1;
}

void sgd_step(const SgdStepArgs& args, Scratch /*none*/) {
  if (args.value.empty()) return;
  const Device device = args.value.front().device();
  with_float_type(args.value.front().dtype(), [&](auto zero) {
    using T = decltype(zero);
    for_chunks<SgdTensors<T>>(
        args.value,
        [&](std::size_t i) {
          return SgdTensors<T>{args.value[i].mutable_data<T>(), args.gradients.grad[i].data<T>(),
                               args.velocity[i].mutable_data<T>()};
        },
        [&](const Chunks<SgdTensors<T>>& chunks) {
          if (chunks.blocks() == 0) return;
          TARN_LAUNCH((sgd_chunks<T>), chunks.grid(), kThreads, 0, device, chunks,
                      Clipping(args.gradients), args.lr, args.momentum, args.l2);
        });
  });
}

void adam_step(const AdamStepArgs& args, Scratch /*none*/) {
  if (args.value.empty()) return;
  const Device device = args.value.front().device();
  with_float_type(args.value.front().dtype(), [&](auto zero) {
    using T = decltype(zero);
    for_chunks<AdamTensors<T>>(
        args.value,
        [&](std::size_t i) {
          return AdamTensors<T>{args.value[i].mutable_data<T>(), args.gradients.grad[i].data<T>(),
                                args.m[i].mutable_data<T>(), args.v[i].mutable_data<T>()};
        },
        [&](const Chunks<AdamTensors<T>>& chunks) {
          if (chunks.blocks() == 0) return;
          TARN_LAUNCH((adam_chunks<T>), chunks.grid(), kThreads, 0, device, chunks,
                      Clipping(args.gradients), AdamScalars<T>(args));
        });
  });
}

std::int64_t sum_of_squares_scratch_bytes(const SumOfSquaresArgs& args) {
  return partial_bytes(args.x);
}

void sum_of_squares(const SumOfSquaresArgs& args, Scratch scratch) {
  sum_terms(args.x, Square{}, scratch, args.totals.mutable_data<double>() + args.first);
}

std::int64_t count_nonfinite_scratch_bytes(const CountNonfiniteArgs& args) {
  return partial_bytes(args.x);
}

void count_nonfinite(const CountNonfiniteArgs& args, Scratch scratch) {
  sum_terms(args.x, OneIfNonfinite{}, scratch, args.totals.mutable_data<double>());
}

void clip_scales(const ClipScalesArgs& args, Scratch /*none*/) {
  const Tensor& watched = args.watched;
  TARN_LAUNCH(clip_scales_all, 1, 1, 0, args.norm.device(), args.squares.data<double>(),
              args.squares.elements(), watched.defined() ? watched.data<double>() : nullptr,
              watched.defined() ? watched.elements() : 0, args.max_norm, args.per_tensor,
              args.scales.mutable_data<double>(), args.norm.mutable_data<double>(),
              args.stopped.mutable_data<double>());
}

}  // namespace tarn::kernels::cuda
