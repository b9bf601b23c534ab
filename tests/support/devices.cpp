#include "tests/support/devices.h"

#include "core/device_runtime.h"

namespace tarn::test {

const std::vector<Device>& devices() {
  static const std::vector<Device> all = [] {
    std::vector<Device> found{Device::cpu()};
    const DeviceRuntime* cuda = device_runtime(DeviceKind::cuda);
    const std::int32_t count = cuda == nullptr ? 0 : cuda->count();
    for (std::int32_t i = 0; i < count; ++i) found.push_back(Device::cuda(i));
    return found;
  }();
  return all;
}

}  // namespace tarn::test
