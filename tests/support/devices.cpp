#include "tests/support/each_device.h"

#include <string_view>

#include "core/device_runtime.h"
#include "kernels/table.h"

namespace tarn::test {
namespace {

bool usable(Device device) {
  try {
    runtime_of(device);
    kernels::table(device.kind);
    return true;
  } catch (const DeviceError&) {
    return false;
  }
}

}  // namespace

const std::vector<Device>& devices() {
  static const std::vector<Device> all = [] {
    std::vector<Device> found{Device::cpu()};
    if (usable(Device::cuda(0))) found.push_back(Device::cuda(0));
    return found;
  }();
  return all;
}

bool tells_of_missing_kernel(const DeviceError& error) {
  return std::string_view(error.what()).ends_with(" kernel in this build");
}

}  // namespace tarn::test
