// The runtime's calls but for streams, events and graphs, which are in runtime_streams.cpp.
#include "tests/emulator/runtime.h"

#include <cstdio>
#include <cstring>
#include <map>

#include "tests/emulator/allocations.h"
#include "tests/emulator/checker.h"
#include "tests/emulator/emulator.h"
#include "tests/emulator/faults.h"
#include "tests/emulator/launch.h"
#include "tests/emulator/ptx/interpreter.h"

namespace emulator {
namespace {

constexpr std::size_t kSharedWithoutRequest = 48 * 1024;
constexpr int kVersion = 13000;
constexpr int kProcessors = 132, kMajor = 9, kMinor = 0;

cudaError_t g_error = cudaSuccess;
int g_device = 0;

// What cudaFuncSetAttribute() allowed each kernel.
std::map<const void*, std::size_t>& allowed_shared() {
  static std::map<const void*, std::size_t> allowed;
  return allowed;
}

cudaError_t refuse(cudaError_t error, const std::string& text) {
  report(FaultKind::usage, text);
  set_error(error);
  return error;
}

// Pageable host memory is read before an asynchronous copy returns, pinned memory when it runs.
bool is_pageable(const void* address) { return find_allocation(address) == nullptr; }

void copy_now(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  if (kind == cudaMemcpyHostToDevice) check_write(to, bytes, "cudaMemcpy to a device");
  if (kind == cudaMemcpyDeviceToHost) check_read(from, bytes, "cudaMemcpy from a device");
  if (kind == cudaMemcpyDeviceToDevice) check_copy(to, from, bytes, "cudaMemcpy within a device");
  std::memmove(to, from, bytes);
  if (kind == cudaMemcpyDeviceToDevice) return;
  ++counters().copies;
  counters().bytes_copied += bytes;
}

// The words among a kernel's arguments that could be addresses.
std::vector<const void*> addresses_in(const std::vector<unsigned char>& arguments) {
  std::vector<const void*> addresses;
  for (std::size_t at = 0; at + sizeof(void*) <= arguments.size(); at += sizeof(void*)) {
    std::memcpy(&addresses.emplace_back(), arguments.data() + at, sizeof(void*));
  }
  return addresses;
}

// Of calls that may wait for the device, which a strict capture does not allow.
bool refused_by_capture(const char* call) {
  if (!Stream::any_capturing_strictly()) return false;
  refuse(cudaErrorStreamCaptureUnsupported,
         text_of("%s while a stream is captured, and not relaxed", call));
  return true;
}

cudaMemcpyKind kind_of(const void* to, const void* from, cudaMemcpyKind given) {
  if (given != cudaMemcpyDefault) return given;
  const auto on_device = [](const void* address) {
    const Allocation* allocation = find_allocation(address);
    return allocation != nullptr && allocation->device != kPinnedHost;
  };
  if (on_device(to)) return on_device(from) ? cudaMemcpyDeviceToDevice : cudaMemcpyHostToDevice;
  return on_device(from) ? cudaMemcpyDeviceToHost : cudaMemcpyHostToHost;
}

}  // namespace

void set_error(cudaError_t error) { g_error = error; }

cudaError_t enqueue(Launch launch, const void* arguments, std::size_t bytes, const void* kernel,
                    cudaStream_t stream) {
  const auto* begin = static_cast<const unsigned char*>(arguments);
  launch.arguments.assign(begin, begin + bytes);
  launch.kernel = kernel;
  const dim3 &grid = launch.grid, &block = launch.block;
  const std::uint64_t threads = std::uint64_t{block.x} * block.y * block.z;
  const bool grid_fits = grid.x > 0 && grid.x < (1U << 31) && grid.y > 0 && grid.y < (1U << 16) &&
                         grid.z > 0 && grid.z < (1U << 16);
  if (!grid_fits || threads == 0 || threads > kMostThreads || block.z > 64) {
    return refuse(cudaErrorInvalidValue,
                  text_of("%s: a launch of (%u,%u,%u) blocks of (%u,%u,%u) threads is not possible",
                          launch.name, grid.x, grid.y, grid.z, block.x, block.y, block.z));
  }
  const auto request = allowed_shared().find(kernel);
  const std::size_t allowed =
      request == allowed_shared().end() ? kSharedWithoutRequest : request->second;
  if (launch.dynamic_shared > allowed) {
    return refuse(cudaErrorInvalidValue,
                  text_of("%s: %zu bytes of dynamic shared memory, of which %zu are allowed; "
                          "cudaFuncSetAttribute raises it to %zu",
                          launch.name, launch.dynamic_shared, allowed, kMostDynamicShared));
  }
  Stream* target = Stream::of(stream);
  launch.device = target->device();
  if (launch.device != g_device) {
    return refuse(cudaErrorInvalidResourceHandle,
                  text_of("%s: the stream is of device %d, but device %d is the current one",
                          launch.name, launch.device, g_device));
  }
  if (!target->capturing()) ++counters().submissions;
  const auto addresses = addresses_in(launch.arguments);
  target->add(launch.name, addresses, [launch = std::move(launch)] {
    ++counters().launches;
    ptx::enabled() ? ptx::run_grid(launch) : run_grid(launch);
  });
  return cudaSuccess;
}

}  // namespace emulator

using namespace emulator;

cudaError_t cudaGetDeviceCount(int* count) {
  *count = settings().devices;
  return cudaSuccess;
}
cudaError_t cudaGetDevice(int* device) {
  *device = g_device;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
  if (device < 0 || device >= settings().devices) {
    return refuse(cudaErrorInvalidDevice, text_of("there is no device %d", device));
  }
  g_device = device;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  *properties = {};
  std::snprintf(properties->name, sizeof properties->name, "(emulated)");
  properties->totalGlobalMem = settings().device_bytes;
  properties->sharedMemPerBlock = kSharedWithoutRequest;
  properties->sharedMemPerBlockOptin = kMostDynamicShared;
  properties->major = kMajor;
  properties->minor = kMinor;
  properties->multiProcessorCount = kProcessors;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  const std::map<cudaDeviceAttr, int> values = {
      {cudaDevAttrMaxSharedMemoryPerBlock, static_cast<int>(kSharedWithoutRequest)},
      {cudaDevAttrMaxSharedMemoryPerBlockOptin, static_cast<int>(kMostDynamicShared)},
      {cudaDevAttrMultiProcessorCount, kProcessors},
      {cudaDevAttrComputeCapabilityMajor, kMajor},
      {cudaDevAttrComputeCapabilityMinor, kMinor}};
  *value = values.at(attribute);
  return cudaSuccess;
}
cudaError_t cudaDeviceGetPCIBusId(char* address, int length, int device) {
  std::snprintf(address, static_cast<std::size_t>(length), "0000:%02x:00.0", device + 1);
  return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) {
  *version = kVersion;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) { return cudaDriverGetVersion(version); }

cudaError_t cudaGetLastError() { return std::exchange(g_error, cudaSuccess); }
cudaError_t cudaPeekAtLastError() { return g_error; }
const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "cudaSuccess";
    case cudaErrorInvalidValue:
      return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation:
      return "cudaErrorMemoryAllocation";
    case cudaErrorInvalidDevice:
      return "cudaErrorInvalidDevice";
    case cudaErrorInvalidResourceHandle:
      return "cudaErrorInvalidResourceHandle";
    case cudaErrorNotReady:
      return "cudaErrorNotReady";
    case cudaErrorLaunchFailure:
      return "cudaErrorLaunchFailure";
    case cudaErrorStreamCaptureUnsupported:
      return "cudaErrorStreamCaptureUnsupported";
  }
  return "unknown error";
}
const char* cudaGetErrorString(cudaError_t error) { return cudaGetErrorName(error); }

cudaError_t cudaMalloc(void** memory, std::size_t bytes) {
  if (refused_by_capture("cudaMalloc")) return cudaErrorStreamCaptureUnsupported;
  *memory = allocate(bytes, g_device);
  ++counters().allocations;
  return *memory == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
}
cudaError_t cudaFree(void* memory) {
  if (memory == nullptr) return cudaSuccess;
  if (refused_by_capture("cudaFree")) return cudaErrorStreamCaptureUnsupported;
  for (int device = 0; device < settings().devices; ++device) Stream::finish_device(device);
  if (release(memory, false)) return cudaSuccess;
  return refuse(cudaErrorInvalidValue, text_of("cudaFree of %p, which is no allocation", memory));
}
cudaError_t cudaMallocHost(void** memory, std::size_t bytes) {
  *memory = allocate(bytes, kPinnedHost);
  return *memory == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
}
cudaError_t cudaHostAlloc(void** memory, std::size_t bytes, unsigned) {
  return cudaMallocHost(memory, bytes);
}
cudaError_t cudaFreeHost(void* memory) {
  if (memory == nullptr || release(memory, true)) return cudaSuccess;
  return refuse(cudaErrorInvalidValue, text_of("cudaFreeHost of %p, which is not pinned", memory));
}
cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  *total = settings().device_bytes;
  *free = *total - bytes_in_use(g_device);
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind given,
                            cudaStream_t stream) {
  const cudaMemcpyKind kind = kind_of(to, from, given);
  Stream* target = Stream::of(stream);
  if (kind == cudaMemcpyHostToDevice && is_pageable(from) && !target->capturing()) {
    const auto* begin = static_cast<const unsigned char*>(from);
    auto staged = std::make_shared<std::vector<unsigned char>>(begin, begin + bytes);
    target->add([=] { copy_now(to, staged->data(), bytes, kind); });
    return cudaSuccess;
  }
  target->add("cudaMemcpy", {to, from}, [=] { copy_now(to, from, bytes, kind); });
  const bool waits = kind == cudaMemcpyDeviceToHost && is_pageable(to) && !target->capturing();
  return waits ? cudaStreamSynchronize(stream) : cudaSuccess;
}
cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  const cudaError_t queued = cudaMemcpyAsync(to, from, bytes, kind, nullptr);
  return queued != cudaSuccess ? queued : cudaStreamSynchronize(nullptr);
}
cudaError_t cudaMemsetAsync(void* memory, int value, std::size_t bytes, cudaStream_t stream) {
  Stream::of(stream)->add("cudaMemset", {memory}, [=] {
    check_write(memory, bytes, "cudaMemset");
    std::memset(memory, value, bytes);
  });
  return cudaSuccess;
}
cudaError_t cudaMemset(void* memory, int value, std::size_t bytes) {
  return cudaMemsetAsync(memory, value, bytes, nullptr);
}

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute, int value) {
  if (value < 0 || static_cast<std::size_t>(value) > kMostDynamicShared) {
    return refuse(
        cudaErrorInvalidValue,
        text_of("%d bytes of dynamic shared memory; a block has %zu", value, kMostDynamicShared));
  }
  allowed_shared()[kernel] = static_cast<std::size_t>(value);
  return cudaSuccess;
}
