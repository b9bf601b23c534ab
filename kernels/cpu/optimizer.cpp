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
void sgd(const SgdStepArgs& args, std::size_t tensor, double scale, std::int64_t first,
         std::int64_t last) {
  T* value = args.value[tensor].mutable_data<T>() + first;
  const T* grad = args.gradients.grad[tensor].data<T>() + first;
  T* velocity = args.velocity[tensor].mutable_data<T>() + first;
  const T lr = static_cast<T>(args.lr);
  const T momentum = static_cast<T>(args.momentum);
  const T l2 = static_cast<T>(args.l2);
  const T grad_scale = static_cast<T>(scale);
  for (std::int64_t i = 0; i < last - first; ++i) {
    const T g = grad_scale * grad[i] + l2 * value[i];
    velocity[i] = momentum * velocity[i] + g;
    value[i] -= lr * velocity[i];
  }
}

template <class T>
void adam(const AdamStepArgs& args, std::size_t tensor, double scale, std::int64_t first,
          std::int64_t last) {
  T* value = args.value[tensor].mutable_data<T>() + first;
  const T* grad = args.gradients.grad[tensor].data<T>() + first;
  T* m = args.m[tensor].mutable_data<T>() + first;
  T* v = args.v[tensor].mutable_data<T>() + first;
  const T beta1 = static_cast<T>(args.beta1), rest1 = static_cast<T>(1 - args.beta1);
  const T beta2 = static_cast<T>(args.beta2), rest2 = static_cast<T>(1 - args.beta2);
  const T eps = static_cast<T>(args.eps), v_scale = static_cast<T>(args.v_scale);
  const T step_size = static_cast<T>(args.step_size), decay = static_cast<T>(args.decay);
  const T l2 = static_cast<T>(args.l2), grad_scale = static_cast<T>(scale);
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

void SgdStep(const SgdStepArgs& args, std::size_t tensor, double scale, std::int64_t first,
             std::int64_t last) {
  with_float_type(args.value[tensor].dtype(),
                  [&](auto zero) { sgd<decltype(zero)>(args, tensor, scale, first, last); });
}

void AdamStep(const AdamStepArgs& args, std::size_t tensor, double scale, std::int64_t first,
              std::int64_t last) {
  with_float_type(args.value[tensor].dtype(),
                  [&](auto zero) { adam<decltype(zero)>(args, tensor, scale, first, last); });
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
#include <vector>

#include "kernels/cpu/parallel.h"
#include "kernels/table.h"

namespace tarn::kernels::cpu {
namespace {

HWY_EXPORT(SgdStep);
HWY_EXPORT(AdamStep);
HWY_EXPORT(Squares);

// Elements [first, last) of the tensors at one place of the lists.
struct Piece {
  std::size_t tensor;
  std::int64_t first, last;
};

constexpr std::int64_t kChunk = 16384;
std::int64_t chunks_of(const Tensor& x) { return (x.elements() + kChunk - 1) / kChunk; }

std::int64_t chunks_of(const std::vector<Tensor>& list) {
  std::int64_t count = 0;
  for (const Tensor& x : list) count += chunks_of(x);
  return count;
}

// Calls body(piece, number of the piece) for all chunks of all tensors, which are numbered from the
// first tensor's first.
template <class Body>
void parallel_pieces(const std::vector<Tensor>& list, const Body& body) {
  std::vector<Piece> pieces;
  pieces.reserve(static_cast<std::size_t>(chunks_of(list)));
  for (std::size_t t = 0; t < list.size(); ++t) {
    for (std::int64_t first = 0; first < list[t].elements(); first += kChunk) {
      pieces.push_back({t, first, std::min(list[t].elements(), first + kChunk)});
    }
  }
  parallel_for(static_cast<std::int64_t>(pieces.size()),
               [&](std::int64_t i) { body(pieces[static_cast<std::size_t>(i)], i); });
}

bool stopped(const Gradients& gradients) {
  return gradients.stopped.defined() && *gradients.stopped.data<double>() != 0;
}

double scale_of(const Gradients& gradients, std::size_t tensor) {
  return gradients.scales.defined() ? gradients.scales.data<double>()[tensor] : 1;
}

}  // namespace

void sgd_step(const SgdStepArgs& args) {
  if (stopped(args.gradients)) return;
  parallel_pieces(args.value, [&](const Piece& piece, std::int64_t /*number*/) {
    HWY_DYNAMIC_DISPATCH(SgdStep)
    (args, piece.tensor, scale_of(args.gradients, piece.tensor), piece.first, piece.last);
  });
}

void adam_step(const AdamStepArgs& args) {
  if (stopped(args.gradients)) return;
  parallel_pieces(args.value, [&](const Piece& piece, std::int64_t /*number*/) {
    HWY_DYNAMIC_DISPATCH(AdamStep)
    (args, piece.tensor, scale_of(args.gradients, piece.tensor), piece.first, piece.last);
  });
}

std::int64_t sum_of_squares_scratch_bytes(const SumOfSquaresArgs& args) {
  return std::int64_t{sizeof(double)} * chunks_of(args.x);
}

void sum_of_squares(const SumOfSquaresArgs& args, Scratch scratch) {
  double* partial = scratch.as<double>();
  parallel_pieces(args.x, [&](const Piece& piece, std::int64_t number) {
    partial[number] = HWY_DYNAMIC_DISPATCH(Squares)(args.x[piece.tensor], piece.first, piece.last);
  });
  double* totals = args.totals.mutable_data<double>() + args.first;
  for (const Tensor& x : args.x) {
    double total = 0;
    for (std::int64_t c = 0; c < chunks_of(x); ++c) total += *partial++;
    *totals++ = total;
  }
}

void count_nonfinite(const CountNonfiniteArgs& args) {
  double* totals = args.totals.mutable_data<double>();
  for (const Tensor& tensor : args.x) {
    with_float_type(tensor.dtype(), [&](auto zero) {
      const auto* x = tensor.data<decltype(zero)>();
      const std::int64_t elements = tensor.elements();
      std::int64_t count = 0;
      for (std::int64_t i = 0; i < elements; ++i) count += std::isfinite(x[i]) ? 0 : 1;
      *totals++ = static_cast<double>(count);
    });
  }
}

void clip_scales(const ClipScalesArgs& args) {
  const std::int64_t count = args.squares.elements();
  const double* squares = args.squares.data<double>();
  double total = 0;
  for (std::int64_t i = 0; i < count; ++i) total += std::sqrt(squares[i]) * std::sqrt(squares[i]);
  const double global = std::sqrt(total);
  for (std::int64_t i = 0; i < count; ++i) {
    const double norm = args.per_tensor ? std::sqrt(squares[i]) : global;
    args.scales.mutable_data<double>()[i] =
        args.max_norm > 0 ? std::min(1.0, args.max_norm / (norm + 1e-6)) : 1.0;
  }
  *args.norm.mutable_data<double>() = global;
  bool finite = std::isfinite(global);
  const std::int64_t watched = args.watched.defined() ? args.watched.elements() : 0;
  for (std::int64_t i = 0; i < watched; ++i) {
    finite = finite && std::isfinite(args.watched.data<double>()[i]);
  }
  if (!finite) *args.stopped.mutable_data<double>() = 1;
}

}  // namespace tarn::kernels::cpu
#endif  // HWY_ONCE
