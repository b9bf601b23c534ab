// What kernels for CUDA devices are written with: one source for nvcc and, in a build with
// TARN_CUDA=EMULATE, for g++ and the emulated device (docs/emulator.md). Shared arrays and launches
// are written by the macros below; all else is plain CUDA C++.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>
#include <limits>

#include "core/cuda/runtime.h"
#include "core/tensor.h"

// How often nvcc is to unroll the loop that follows; left to itself it unrolls until it runs out of
// registers.
#if defined(__CUDACC__)
#define TARN_PRAGMA(text) _Pragma(#text)
#define TARN_UNROLL(times) TARN_PRAGMA(unroll times)
#else
#define TARN_UNROLL(times)
#endif

#if defined(__CUDACC__)
#include <tuple>
#include <utility>

namespace tarn::kernels::cuda {

// The type itself: lets a macro take an array type, float[32][33].
template <class T>
struct Identity {
  using type = T;
};

// Converts the arguments to the kernel's parameters and launches it.
template <class... Parameters, class... Arguments>
cudaError_t launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, std::size_t dynamic_shared,
                   cudaStream_t stream, Arguments&&... arguments) {
  std::tuple<Parameters...> parameters(static_cast<Parameters>(arguments)...);
  void* pointers[sizeof...(Parameters) + 1] = {};
  std::apply(
      [&](auto&... each) {
        int i = 0;
        ((pointers[i++] = static_cast<void*>(&each)), ...);
      },
      parameters);
  const auto* function = reinterpret_cast<const void*>(kernel);
  if (dynamic_shared > 48 * 1024) {  // more must be asked for
    const cudaError_t error = cudaFuncSetAttribute(
        function, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(dynamic_shared));
    if (error != cudaSuccess) return error;
  }
  return cudaLaunchKernel(function, grid, block, pointers, dynamic_shared, stream);
}

}  // namespace tarn::kernels::cuda

#define TARN_SHARED(Type, name) __shared__ typename ::tarn::kernels::cuda::Identity<Type>::type name
#define TARN_LAUNCH_ON_STREAM(kernel, grid, block, shared, stream, ...) \
  ::tarn::kernels::cuda::launch(kernel, grid, block, shared, stream, __VA_ARGS__)
#else
#define TARN_SHARED(Type, name) EMULATOR_SHARED(Type, name)
#define TARN_LAUNCH_ON_STREAM(kernel, grid, block, shared, stream, ...) \
  EMULATOR_LAUNCH(kernel, grid, block, shared, stream, __VA_ARGS__)
#endif

// TARN_LAUNCH(kernel, grid, block, dynamic shared bytes, device, arguments...) on the device's
// current stream; a kernel that is a template stands in brackets. Throws DeviceError that names the
// kernel when the launch fails.
#define TARN_LAUNCH(kernel, grid, block, shared, device, ...)                           \
  ::tarn::cuda::check(                                                                  \
      TARN_LAUNCH_ON_STREAM(kernel, grid, block, shared,                                \
                            ::tarn::cuda::current_stream((device).index), __VA_ARGS__), \
      "launch of " #kernel, (device).index)

namespace tarn::kernels::cuda {

constexpr std::int64_t quotient_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

constexpr unsigned kThreads = 256;  // of a block, where a kernel has no reason for another number

// Blocks for n elements, one a thread, up to a few for each processor of the largest device: a
// thread takes every gridDim.x * kThreads'th element.
inline dim3 blocks_for(std::int64_t n) {
  constexpr std::int64_t kMost = 4096;
  return dim3(static_cast<unsigned>(std::min(quotient_up(n, kThreads), kMost)));
}

__device__ inline std::int64_t first_element() {
  return std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
}
__device__ inline std::int64_t all_threads() { return std::int64_t{gridDim.x} * blockDim.x; }

// Shape and strides, in elements, as a kernel's argument: dimensions of size 1 are dropped, and two
// that can be walked as one are joined, so that a contiguous tensor has one dimension.
struct Layout {
  std::int64_t sizes[Shape::kMaxRank] = {};
  std::int64_t strides[Shape::kMaxRank] = {};
  int rank = 0;

  Layout(const Shape& shape, const Shape& stride) {
    for (int d = 0; d < shape.rank(); ++d) {
      if (shape[d] == 1) continue;
      if (rank > 0 && strides[rank - 1] == shape[d] * stride[d]) {
        sizes[rank - 1] *= shape[d];
        strides[rank - 1] = stride[d];
        continue;
      }
      sizes[rank] = shape[d];
      strides[rank++] = stride[d];
    }
  }
};

// Elements of storage from a tensor's first to the one of a row-major index.
__device__ inline std::int64_t offset_of(const Layout& layout, std::int64_t index) {
  std::int64_t offset = 0;
  for (int d = layout.rank - 1; d >= 0; --d) {
    offset += index % layout.sizes[d] * layout.strides[d];
    index /= layout.sizes[d];
  }
  return offset;
}

// An element of `count` by a token or a label; out of range it is a NaN, from which the loss is one
// too, since the program does not wait for a device to look at what is there.
template <class T>
__device__ T looked_up(const T* values, std::int64_t index, std::int64_t count) {
  return index >= 0 && index < count ? values[index] : std::numeric_limits<T>::quiet_NaN();
}

// Sums one value a thread over a block of kThreads in a fixed order. All threads must call it, and
// all get the sum. `sums` has room for kThreads values and may be used again after the call.
template <class T>
__device__ T block_sum(T value, T* sums) {
  sums[threadIdx.x] = value;
  for (unsigned half = kThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
  }
  __syncthreads();
  const T total = sums[0];
  __syncthreads();  // or the next call might write before all have read
  return total;
}

// The sum of n values in memory, likewise: what blocks have summed is added by one block.
__device__ inline double block_sum_of(const double* values, std::int64_t n, double* sums) {
  double sum = 0;
  for (std::int64_t i = threadIdx.x; i < n; i += kThreads) sum += values[i];
  return block_sum(sum, sums);
}

}  // namespace tarn::kernels::cuda
