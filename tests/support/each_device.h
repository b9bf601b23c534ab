// Runs a test on every device that this build and this machine have.
#pragma once

#include <doctest/doctest.h>

#include <vector>

#include "core/check.h"
#include "core/device.h"

namespace tarn::test {

// The CPU, and cuda:0 where there is one that can be used and kernels for it.
const std::vector<Device>& devices();

// Whether a kernel's absence is what an error tells of; kernels/device_test.cpp lists the absent.
bool tells_of_missing_kernel(const DeviceError& error);

// Calls f with each device. What needs a kernel that a device other than the CPU lacks is passed
// over there.
template <class F>
void for_each_device(const F& f) {
  for (const Device device : devices()) {
    CAPTURE(device.str());
    try {
      f(device);
    } catch (const DeviceError& error) {
      if (device == Device::cpu() || !tells_of_missing_kernel(error)) throw;
    }
  }
}

}  // namespace tarn::test
