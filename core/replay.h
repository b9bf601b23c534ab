// Work that a device does again and again.
#pragma once

#include <functional>
#include <memory>

#include "core/allocator.h"
#include "core/device_runtime.h"

namespace tarn {

// Calls a function at its first run, after which a device has loaded all kernels and the cache has
// all the memory. Where the device has graphs the second run records what the function asks for,
// and from then on a run is the launch of that graph; elsewhere each run is a call.
//
// The function launches kernels, fills, and copies within the device, between tensors that stay
// where they are; those that it makes must be gone when it returns. Their memory is kept for the
// graph as long as this lives.
class Replay {
 public:
  Replay(Device device, std::function<void()> work) : device_(device), work_(std::move(work)) {}
  ~Replay();
  Replay(const Replay&) = delete;
  Replay& operator=(const Replay&) = delete;

  void run();

 private:
  void capture();

  Device device_;
  std::function<void()> work_;
  bool ran_ = false;
  std::unique_ptr<DeviceGraph> graph_;
  MemoryBlocks memory_;
};

}  // namespace tarn
