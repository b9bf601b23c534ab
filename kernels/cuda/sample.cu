#include "kernels/common/sample.h"
#include "kernels/cuda/gpu.h"
#include "kernels/cuda/warps.h"
#include "kernels/dtype_switch.h"
#include "kernels/sample.h"
#include "kernels/table.h"

namespace tarn::kernels::cuda {
namespace {

// The sum of x over this thread and those of the warp before it.
__device__ double sum_so_far(double x) {
  for (int step = 1; step < kWarp; step *= 2) {
    const double before = __shfl_up_sync(~0U, x, static_cast<unsigned>(step));
    if (lane() >= step) x += before;
  }
  return x;
}

// Draws index k with probability softmax(logits / temperature)[k]; u is uniform in (0, 1). It is
// the first k at which the sum of the weights so far exceeds u times all.
template <class T>
__device__ std::int64_t choose(const T* logits, std::int64_t count, double temperature, double u) {
  const std::int64_t likeliest = index_of_largest(logits, count);
  if (temperature == 0) return likeliest;
  const double top = static_cast<double>(logits[likeliest]);
  const auto weight = [&](std::int64_t k) {
    return k < count ? weight_of(static_cast<double>(logits[k]), top, temperature) : 0;
  };
  double total = 0;
  for (std::int64_t k = lane(); k < count; k += kWarp) total += weight(k);
  double left = u * warp_sum(total);
  for (std::int64_t first = 0; first < count; first += kWarp) {
    const double own = weight(first + lane());
    const double sum = sum_so_far(own);
    // What weighs nothing is never drawn, however the sums are rounded.
    const unsigned reached = __ballot_sync(~0U, own > 0 && left - sum < 0);
    if (reached != 0) return first + __ffs(static_cast<int>(reached)) - 1;
    left -= __shfl_sync(~0U, sum, kWarp - 1);
  }
  return likeliest;  // the subtractions ended a hair above 0
}

}  // namespace

// An address whose step may lie on the device.
struct DeviceAddress {
  RngAddress address;
  const std::int32_t* step;

  DeviceAddress(const RngAddress& given, const Tensor& device_step)
      : address(given), step(device_step.defined() ? device_step.data<std::int32_t>() : nullptr) {}

  __device__ RngAddress read() const {
    RngAddress at = address;
    if (step != nullptr) at.step = static_cast<std::uint32_t>(*step);
    return at;
  }
};

template <class T>
__global__ void sample_mixtures(const T* outputs, std::int32_t* values, std::int64_t components,
                                double temperature, bool compat, DeviceAddress address,
                                std::uint32_t first, std::int64_t rows) {
  const std::int64_t r = warp_row();
  if (r >= rows) return;
  const T* row = outputs + r * 3 * components;
  const auto bits = random_block(address.read(), first + static_cast<std::uint32_t>(r));
  const std::int64_t k = choose(row, components, temperature, open_uniform(bits[0]));
  if (lane() != 0) return;
  const auto mean = static_cast<double>(row[components + k]);
  if (temperature == 0) {
    values[r] = value_of(mean);
    return;
  }
  const double scale = scale_of(static_cast<double>(row[2 * components + k]), compat);
  values[r] = logistic_value(mean, temperature * scale, open_uniform(bits[1]));
}

template <class T>
__global__ void sample_classes(const T* logits, std::int32_t* values, std::int64_t count,
                               double temperature, DeviceAddress address, std::uint32_t first,
                               std::int64_t rows) {
  const std::int64_t r = warp_row();
  if (r >= rows) return;
  const auto bits = random_block(address.read(), first + static_cast<std::uint32_t>(r));
  const std::int64_t k = choose(logits + r * count, count, temperature, open_uniform(bits[0]));
  if (lane() == 0) values[r] = static_cast<std::int32_t>(k);
}

void sample_logistic_mixture(const SampleLogisticMixtureArgs& args, Scratch /*none*/) {
  const std::int64_t rows = args.values.elements();
  if (rows == 0) return;
  with_float_type(args.outputs.dtype(), [&](auto zero) {
    using T = decltype(zero);
    TARN_LAUNCH((sample_mixtures<T>), blocks_for_rows(rows), kThreads, 0, args.values.device(),
                args.outputs.data<T>(), args.values.mutable_data<std::int32_t>(),
                args.outputs.size(-1) / 3, args.temperature, args.compat,
                DeviceAddress(args.address, args.device_step), args.first, rows);
  });
}

void sample_categorical(const SampleCategoricalArgs& args, Scratch /*none*/) {
  const std::int64_t rows = args.values.elements();
  if (rows == 0) return;
  with_float_type(args.logits.dtype(), [&](auto zero) {
    using T = decltype(zero);
    TARN_LAUNCH((sample_classes<T>), blocks_for_rows(rows), kThreads, 0, args.values.device(),
                args.logits.data<T>(), args.values.mutable_data<std::int32_t>(),
                args.logits.size(-1), args.temperature,
                DeviceAddress(args.address, args.device_step), args.first, rows);
  });
}

}  // namespace tarn::kernels::cuda
