#include "kernels/optimizer.h"

#include "kernels/dtype_switch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/optimizer.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
//
#include "kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tarn::kernels::cpu::HWY_NAMESPACE {
namespace {

template <class T>
void sgd(const SgdStepArgs& args, std::int64_t first, std::int64_t last) {
  T* value = args.value.mutable_data<T>() + first;
  const T* grad = args.grad.data<T>() + first;
  T* velocity = args.velocity.mutable_data<T>() + first;
  const T lr = static_cast<T>(args.lr);
  const T momentum = static_cast<T>(args.momentum);
  const T l2 = static_cast<T>(args.l2);
  const T grad_scale = static_cast<T>(args.grad_scale);
  for (std::int64_t i = 0; i < last - first; ++i) {
    const T g = grad_scale * grad[i] + l2 * value[i];
    velocity[i] = momentum * velocity[i] + g;
    value[i] -= lr * velocity[i];
  }
}

template <class T>
void adam(const AdamStepArgs& args, std::int64_t first, std::int64_t last) {
  T* value = args.value.mutable_data<T>() + first;
  const T* grad = args.grad.data<T>() + first;
  T* m = args.m.mutable_data<T>() + first;
  T* v = args.v.mutable_data<T>() + first;
  const T beta1 = static_cast<T>(args.beta1), rest1 = static_cast<T>(1 - args.beta1);
  const T beta2 = static_cast<T>(args.beta2), rest2 = static_cast<T>(1 - args.beta2);
  const T eps = static_cast<T>(args.eps), v_scale = static_cast<T>(args.v_scale);
  const T step_size = static_cast<T>(args.step_size), decay = static_cast<T>(args.decay);
  const T l2 = static_cast<T>(args.l2), grad_scale = static_cast<T>(args.grad_scale);
  for_vectors<T>(last - first, [&](auto d, std::int64_t i) HWY_ATTR {
    const auto set = [&](T x) HWY_ATTR { return hn::Set(d, x); };
    const auto old = hn::LoadU(d, value + i);
    const auto g = hn::MulAdd(set(grad_scale), hn::LoadU(d, grad + i), hn::Mul(set(l2), old));
    const auto new_m = hn::MulAdd(set(beta1), hn::LoadU(d, m + i), hn::Mul(set(rest1), g));
    const auto new_v =
        hn::MulAdd(set(beta2), hn::LoadU(d, v + i), hn::Mul(set(rest2), hn::Mul(g, g)));
    hn::StoreU(new_m, d, m + i);
    hn::StoreU(new_v, d, v + i);
    auto move = hn::Mul(set(step_size), new_m);
    if (args.adaptive) {
      move = hn::Div(move, hn::MulAdd(hn::Sqrt(new_v), set(v_scale), set(eps)));
    }
    // Not old * (1 - decay): in f32 that factor would hold only a few digits of the decay.
    hn::StoreU(hn::Sub(hn::NegMulAdd(set(decay), old, old), move), d, value + i);
  });
}

// The sum of squares, in f64 whatever T is: a norm over millions of elements is compared with a
// threshold, and an f32 sum of that many terms would lose too many digits.
template <class T>
double squares(const T* x, std::int64_t n) {
  double totals[8] = {};
  std::int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    for (int j = 0; j < 8; ++j) {
      const double element = static_cast<double>(x[i + j]);
      totals[j] += element * element;
    }
  }
  for (; i < n; ++i) totals[0] += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  double total = 0;
  for (const double part : totals) total += part;
  return total;
}

void SgdStep(const SgdStepArgs& args, std::int64_t first, std::int64_t last) {
  with_float_type(args.value.dtype(), [&](auto zero) { sgd<decltype(zero)>(args, first, last); });
}

void AdamStep(const AdamStepArgs& args, std::int64_t first, std::int64_t last) {
  with_float_type(args.value.dtype(), [&](auto zero) { adam<decltype(zero)>(args, first, last); });
}

double Squares(const Tensor& x, std::int64_t first, std::int64_t last) {
  return with_float_type(x.dtype(), [&](auto zero) {
    return squares(x.data<decltype(zero)>() + first, last - first);
  });
}

}  // namespace
}  // namespace tarn::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <cmath>

#include "kernels/cpu/parallel.h"
#include "kernels/table.h"

namespace tarn::kernels::cpu {
namespace {

HWY_EXPORT(SgdStep);
HWY_EXPORT(AdamStep);
HWY_EXPORT(Squares);

constexpr std::int64_t kChunk = 16384;
std::int64_t chunks_of(const Tensor& x) { return (x.elements() + kChunk - 1) / kChunk; }

}  // namespace

void sgd_step(const SgdStepArgs& args) {
  parallel_chunks(args.value.elements(), kChunk, [&](std::int64_t first, std::int64_t last) {
    HWY_DYNAMIC_DISPATCH(SgdStep)(args, first, last);
  });
}

void adam_step(const AdamStepArgs& args) {
  parallel_chunks(args.value.elements(), kChunk, [&](std::int64_t first, std::int64_t last) {
    HWY_DYNAMIC_DISPATCH(AdamStep)(args, first, last);
  });
}

std::int64_t sum_of_squares_scratch_bytes(const SumOfSquaresArgs& args) {
  return std::int64_t{sizeof(double)} * chunks_of(args.x);
}

void sum_of_squares(const SumOfSquaresArgs& args, Scratch scratch) {
  const std::int64_t n = args.x.elements();
  double* partial = scratch.as<double>();
  parallel_chunks(n, kChunk, [&](std::int64_t first, std::int64_t last) {
    partial[first / kChunk] = HWY_DYNAMIC_DISPATCH(Squares)(args.x, first, last);
  });
  double total = 0;
  for (std::int64_t c = 0; c < chunks_of(args.x); ++c) total += partial[c];
  args.total.mutable_data<double>()[args.index] = total;
}

void count_nonfinite(const CountNonfiniteArgs& args) {
  with_float_type(args.x.dtype(), [&](auto zero) {
    const auto* x = args.x.data<decltype(zero)>();
    std::int64_t count = 0;
    for (std::int64_t i = 0; i < args.x.elements(); ++i) count += std::isfinite(x[i]) ? 0 : 1;
    *args.total.mutable_data<double>() = static_cast<double>(count);
  });
}

}  // namespace tarn::kernels::cpu
#endif  // HWY_ONCE
