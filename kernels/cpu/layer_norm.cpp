#include "kernels/layer_norm.h"

#include "kernels/dtype_switch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/layer_norm.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
//
#include "kernels/cpu/normalise-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tarn::kernels::cpu::HWY_NAMESPACE {
namespace {

template <class T>
void forward(const LayerNormForwardArgs& args, std::int64_t first, std::int64_t last) {
  const std::int64_t width = args.weight.elements();
  const T* weight = args.weight.data<T>();
  const T* bias = args.bias.data<T>();
  const bool branched = args.branch.defined();
  const T scale = static_cast<T>(1 / (1 - args.dropout));
  const std::uint32_t threshold = random_threshold(args.dropout);
  for (std::int64_t r = first; r < last; ++r) {
    const T* row = args.x.data<T>() + r * width;
    if (branched) {
      const T* branch = args.branch.data<T>() + r * width;
      T* total = args.sum.mutable_data<T>() + r * width;
      std::copy(branch, branch + width, total);
      if (args.dropout > 0) dropout_row(args.address, r * width, width, threshold, scale, total);
      for_vectors<T>(width, [&](auto d, std::int64_t i) HWY_ATTR {
        hn::StoreU(hn::Add(hn::LoadU(d, row + i), hn::LoadU(d, total + i)), d, total + i);
      });
      row = total;
    }
    const RowMoments<T> moments = normalise_row(row, weight, bias, static_cast<T>(args.eps), width,
                                                args.out.mutable_data<T>() + r * width);
    if (args.mean.defined()) {
      args.mean.mutable_data<T>()[r] = moments.mean;
      args.rstd.mutable_data<T>()[r] = moments.rstd;
    }
  }
}

// With normal = (sum - mean) * rstd and g = grad_out * weight, the gradient of the sum is
// rstd * (g - mean(g) - normal * mean(g * normal)).
template <class T>
void backward(const LayerNormBackwardArgs& args, std::int64_t first, std::int64_t last,
              double* weight_sums, double* bias_sums, T* buffer) {
  const std::int64_t width = args.weight.elements();
  const T* weight = args.weight.data<T>();
  const T scale = static_cast<T>(1 / (1 - args.dropout));
  const std::uint32_t threshold = random_threshold(args.dropout);
  T* normal = buffer;
  T* grad = buffer + width;
  for (std::int64_t r = first; r < last; ++r) {
    const T* row = args.sum.data<T>() + r * width;
    const T* grad_out = args.grad_out.data<T>() + r * width;
    const T mean = args.mean.data<T>()[r];
    const T rstd = args.rstd.data<T>()[r];
    for_vectors<T>(width, [&](auto d, std::int64_t i) HWY_ATTR {
      const auto centred = hn::Sub(hn::LoadU(d, row + i), hn::Set(d, mean));
      hn::StoreU(hn::Mul(centred, hn::Set(d, rstd)), d, normal + i);
      hn::StoreU(hn::Mul(hn::LoadU(d, grad_out + i), hn::LoadU(d, weight + i)), d, grad + i);
    });
    for (std::int64_t i = 0; i < width; ++i) {
      weight_sums[i] += static_cast<double>(grad_out[i] * normal[i]);
      bias_sums[i] += static_cast<double>(grad_out[i]);
    }
    const T mean_grad = sum(grad, width) / static_cast<T>(width);
    const T mean_grad_normal = dot(grad, normal, width) / static_cast<T>(width);
    for_vectors<T>(width, [&](auto d, std::int64_t i) HWY_ATTR {
      const auto off_mean = hn::Sub(hn::LoadU(d, grad + i), hn::Set(d, mean_grad));
      const auto off_both =
          hn::NegMulAdd(hn::LoadU(d, normal + i), hn::Set(d, mean_grad_normal), off_mean);
      hn::StoreU(hn::Mul(off_both, hn::Set(d, rstd)), d, grad + i);
    });
    const auto accumulate = [&](const Tensor& target, double beta) HWY_ATTR {
      T* to = target.mutable_data<T>() + r * width;
      const T b = static_cast<T>(beta);
      for (std::int64_t i = 0; i < width; ++i) to[i] = b == 0 ? grad[i] : b * to[i] + grad[i];
    };
    if (args.grad_x.defined()) accumulate(args.grad_x, args.beta_x);
    if (!args.grad_branch.defined()) continue;
    if (args.dropout > 0) dropout_row(args.address, r * width, width, threshold, scale, grad);
    accumulate(args.grad_branch, args.beta_branch);
  }
}

void LayerNormForward(const LayerNormForwardArgs& args, std::int64_t first, std::int64_t last) {
  with_float_type(args.x.dtype(), [&](auto zero) { forward<decltype(zero)>(args, first, last); });
}

void LayerNormBackward(const LayerNormBackwardArgs& args, std::int64_t first, std::int64_t last,
                       double* weight_sums, double* bias_sums, void* buffer) {
  with_float_type(args.sum.dtype(), [&](auto zero) {
    backward(args, first, last, weight_sums, bias_sums, static_cast<decltype(zero)*>(buffer));
  });
}

}  // namespace
}  // namespace tarn::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/rows.h"
#include "kernels/cpu/scratch.h"
#include "kernels/table.h"

namespace tarn::kernels::cpu {
namespace {

HWY_EXPORT(LayerNormForward);
HWY_EXPORT(LayerNormBackward);

// grad = beta * grad + the sum of the chunks' partial sums, added in the order of the chunks. Those
// of a chunk are sums[first] and what follows; of no chunk, `sums` may be null.
void add_up(const Tensor& grad, double beta, const double* sums, std::int64_t first,
            std::int64_t chunks, std::int64_t stride) {
  if (!grad.defined()) return;
  with_float_type(grad.dtype(), [&](auto zero) {
    auto* to = grad.mutable_data<decltype(zero)>();
    for (std::int64_t i = 0; i < grad.elements(); ++i) {
      double total = beta == 0 ? 0 : beta * static_cast<double>(to[i]);
      for (std::int64_t c = 0; c < chunks; ++c) total += sums[c * stride + first + i];
      to[i] = static_cast<decltype(zero)>(total);
    }
  });
}

}  // namespace

void layer_norm_forward(const LayerNormForwardArgs& args) {
  const std::int64_t width = args.weight.elements();
  parallel_chunks(args.x.elements() / width, rows_per_chunk(width),
                  [&](std::int64_t first, std::int64_t last) {
                    HWY_DYNAMIC_DISPATCH(LayerNormForward)(args, first, last);
                  });
}

std::int64_t layer_norm_backward_scratch_bytes(const LayerNormBackwardArgs& args) {
  const std::int64_t width = args.weight.elements();
  return std::int64_t{sizeof(double)} * 2 * width * partial_sums(args.sum.elements() / width);
}

void layer_norm_backward(const LayerNormBackwardArgs& args, Scratch scratch) {
  const std::int64_t width = args.weight.elements();
  const std::int64_t rows = args.sum.elements() / width;
  const std::int64_t chunk = rows_per_sum(rows);
  double* sums = scratch.as<double>();
  parallel_for(partial_sums(rows), [&](std::int64_t c) {
    double* chunk_sums = sums + c * 2 * width;
    std::fill_n(chunk_sums, 2 * width, 0.0);
    HWY_DYNAMIC_DISPATCH(LayerNormBackward)
    (args, c * chunk, std::min(rows, (c + 1) * chunk), chunk_sums, chunk_sums + width,
     thread_scratch<double>(2 * width));
  });
  add_up(args.grad_weight, args.beta_weight, sums, 0, partial_sums(rows), 2 * width);
  add_up(args.grad_bias, args.beta_bias, sums, width, partial_sums(rows), 2 * width);
}

}  // namespace tarn::kernels::cpu
#endif  // HWY_ONCE
