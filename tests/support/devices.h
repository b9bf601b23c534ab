// The CUDA devices that this build and machine have, for tests that compare them with the CPU.
#pragma once

#include <string>
#include <vector>

#include "core/check.h"
#include "core/device_runtime.h"
#if defined(TARN_EMULATED)
#include "tests/emulator/emulator.h"
#endif

namespace tarn::test {

// Empty where the build has no CUDA backend, or the machine no device.
inline std::vector<Device> cuda_devices() {
  std::vector<Device> devices;
  const DeviceRuntime* runtime = device_runtime(DeviceKind::cuda);
  for (std::int32_t i = 0; runtime != nullptr && i < runtime->count(); ++i) {
    devices.push_back(Device::cuda(i));
  }
  return devices;
}

// Calls body() once on a real device. On the emulated one calls it in three orders of threads and
// blocks, and returns the faults that were found meanwhile, one line each.
template <class Body>
std::string in_each_order(const Body& body) {
  std::string faults;
#if defined(TARN_EMULATED)
  emulator::clear_faults();
  for (const auto order :
       {emulator::Order::ascending, emulator::Order::descending, emulator::Order::random}) {
    emulator::settings().order = order;
    try {
      body();
    } catch (const DeviceError& error) {  // a fault ended the launch: which is in the list
      faults += message(error.what(), "\n");
    }
  }
  emulator::settings().order = emulator::Order::ascending;
  for (const emulator::Fault& fault : emulator::faults()) faults += fault.text + "\n";
  emulator::clear_faults();
#else
  body();
#endif
  return faults;
}

}  // namespace tarn::test
