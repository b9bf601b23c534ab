// Dropout as a kernel's argument: which elements of a stream are kept, and what they are scaled by.
#pragma once

#include "core/rng.h"
#include "kernels/cuda/gpu.h"

namespace tarn::kernels::cuda {

// The bits are the CPU's: element i of a stream is kept where its number is at or above a
// threshold.
template <class T>
struct Dropout {
  RngAddress address;
  std::uint32_t threshold;
  T scale;
  bool on;

  Dropout(const RngAddress& at, double probability)
      : address(at),
        threshold(random_threshold(probability)),
        scale(static_cast<T>(1 / (1 - probability))),
        on(probability > 0) {}

  // 0, the scale, or 1 without dropout, by the number that an element has drawn.
  __device__ T factor(std::uint32_t bits) const {
    if (!on) return 1;
    return bits >= threshold ? scale : T(0);
  }
};

}  // namespace tarn::kernels::cuda
