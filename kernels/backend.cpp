#include "kernels/backend.h"

#include "core/check.h"
#include "core/device_runtime.h"

namespace tarn::kernels {

std::string describe(Device device) {
  if (device != Device::cpu()) {
    return message(device, " ", runtime_of(device).describe(device.index));
  }
  const CpuBackend cpu = cpu_backend();
  return message(device, " (", cpu.processor, ", ", cpu.instruction_set, ", ", cpu.threads,
                 cpu.threads == 1 ? " thread)" : " threads)");
}

}  // namespace tarn::kernels
