// Runs a test on every device that this build and this machine have. The emulated device runs it in
// three orders of threads and blocks, and what its checker finds fails the test.
#pragma once

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "core/check.h"
#include "core/device.h"
#if defined(TARN_EMULATED)
#include "tests/emulator/emulator.h"
#endif

namespace tarn::test {

// The CPU, and the CUDA devices that can be used.
const std::vector<Device>& devices();

// Calls f(device). Returns the error of the device that ended it, if there was one, and the faults
// that the emulated device noticed, one line each.
template <class F>
std::string run_on(Device device, const F& f) {
  std::string faults;
#if defined(TARN_EMULATED)
  emulator::clear_faults();
#endif
  try {
    f(device);
  } catch (const DeviceError& error) {  // of a fault that ended a launch, too
    faults = message(error.what(), "\n");
  }
#if defined(TARN_EMULATED)
  for (const emulator::Fault& fault : emulator::faults()) faults += fault.text + "\n";
  emulator::clear_faults();
#endif
  return faults;
}

#if defined(TARN_EMULATED)
// The checker sees in any order what is not ordered by barriers, and it is slow.
inline std::vector<emulator::Order> orders() {
  using emulator::Order;
  if (emulator::checking()) return {Order::random};
  return {Order::ascending, Order::descending, Order::random};
}
#endif

// Calls f(device) for the CPU and then for each other device, where nothing may go wrong; on the
// emulated one in each order.
template <class F>
void for_each_device(const F& f) {
  for (const Device device : devices()) {
    CAPTURE(device.str());
    if (device == Device::cpu()) {
      f(device);
      continue;
    }
#if defined(TARN_EMULATED)
    for (const emulator::Order order : orders()) {
      emulator::settings().order = order;
      CHECK(run_on(device, f) == "");
    }
    emulator::settings().order = emulator::Order::ascending;
#else
    CHECK(run_on(device, f) == "");
#endif
  }
}

}  // namespace tarn::test
