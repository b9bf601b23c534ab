// CUDA devices behind core's seam, and what the kernels need of the runtime: the stream on which a
// device computes, and errors that name what failed. Outside of this folder and kernels/cuda
// nothing sees the CUDA runtime.
#pragma once

#include <cuda_runtime.h>

#include <string>

#include "core/device_runtime.h"

namespace tarn::cuda {

const DeviceRuntime& runtime();

// Makes a device the current one of this thread until the end of the scope.
class DeviceGuard {
 public:
  explicit DeviceGuard(std::int32_t index);
  ~DeviceGuard();
  DeviceGuard(const DeviceGuard&) = delete;
  DeviceGuard& operator=(const DeviceGuard&) = delete;

 private:
  int before_ = 0;
};

// The one stream on which a device computes: all kernels, and all copies that they depend on, but
// for what is on its way to and from other devices.
cudaStream_t compute_stream(std::int32_t index);
// Where what this thread asks for goes: there, or to the side queue between its begin() and end().
cudaStream_t current_stream(std::int32_t index);

// Throws DeviceError "cudaMalloc on cuda:0: out of memory (cudaErrorMemoryAllocation)".
void check(cudaError_t error, const char* call, std::int32_t index);

}  // namespace tarn::cuda
