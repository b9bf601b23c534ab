// In place of the toolkit's header: the emulated device under the same names.
#pragma once

#include "tests/emulator/device.h"
#include "tests/emulator/launch.h"
#include "tests/emulator/runtime.h"

template <class T>
cudaError_t cudaMalloc(T** memory, std::size_t bytes) {
  return cudaMalloc(reinterpret_cast<void**>(memory), bytes);
}
template <class T>
cudaError_t cudaMallocHost(T** memory, std::size_t bytes) {
  return cudaMallocHost(reinterpret_cast<void**>(memory), bytes);
}
