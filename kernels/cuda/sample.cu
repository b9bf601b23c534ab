#include "kernels/common/sample.h"
#include "kernels/cuda/gpu.h"
#include "kernels/dtype_switch.h"
#include "kernels/sample.h"
#include "kernels/table.h"

namespace tarn::kernels::cuda {
namespace {

// A row is a warp's. All functions below are called by all threads of a warp, for the same row, and
// give each the same result.
constexpr int kWarp = 32;
constexpr std::int64_t kRows = kThreads / kWarp;  // of a block

__device__ int lane() { return static_cast<int>(threadIdx.x) % kWarp; }

// The index of the largest, the first among equals.
template <class T>
__device__ std::int64_t index_of_largest(const T* logits, std::int64_t count) {
  std::int64_t best = 0;
  T largest = logits[0];
  for (std::int64_t k = lane(); k < count; k += kWarp) {
    if (largest < logits[k]) {
      largest = logits[k];
      best = k;
    }
  }
  for (int bit = kWarp / 2; bit > 0; bit /= 2) {
    const T other = __shfl_xor_sync(~0U, largest, bit);
    const std::int64_t index = __shfl_xor_sync(~0U, best, bit);
    if (largest < other || (largest == other && index < best)) {
      largest = other;
      best = index;
    }
  }
  return best;
}

__device__ double warp_sum(double x) {
  for (int bit = kWarp / 2; bit > 0; bit /= 2) x += __shfl_xor_sync(~0U, x, bit);
  return x;
}

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

// The row of this thread's warp; past the last row there is nothing to do.
__device__ std::int64_t warp_row() { return first_element() / kWarp; }

dim3 blocks_for_rows(std::int64_t rows) {
  return dim3(static_cast<unsigned>((rows + kRows - 1) / kRows));
}

}  // namespace

template <class T>
__global__ void sample_mixtures(const T* outputs, std::int32_t* values, std::int64_t components,
                                double temperature, bool compat, RngAddress address,
                                std::uint32_t first, std::int64_t rows) {
  const std::int64_t r = warp_row();
  if (r >= rows) return;
  const T* row = outputs + r * 3 * components;
  const auto bits = random_block(address, first + static_cast<std::uint32_t>(r));
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
                               double temperature, RngAddress address, std::uint32_t first,
                               std::int64_t rows) {
  const std::int64_t r = warp_row();
  if (r >= rows) return;
  const auto bits = random_block(address, first + static_cast<std::uint32_t>(r));
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
                args.outputs.size(-1) / 3, args.temperature, args.compat, args.address, args.first,
                rows);
  });
}

void sample_categorical(const SampleCategoricalArgs& args, Scratch /*none*/) {
  const std::int64_t rows = args.values.elements();
  if (rows == 0) return;
  with_float_type(args.logits.dtype(), [&](auto zero) {
    using T = decltype(zero);
    TARN_LAUNCH((sample_classes<T>), blocks_for_rows(rows), kThreads, 0, args.values.device(),
                args.logits.data<T>(), args.values.mutable_data<std::int32_t>(),
                args.logits.size(-1), args.temperature, args.address, args.first, rows);
  });
}

}  // namespace tarn::kernels::cuda
