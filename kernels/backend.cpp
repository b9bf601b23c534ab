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

void check_compute(Compute compute, Device device) {
  if (compute == Compute::own_type) return;
  TARN_CHECK_AS(DeviceError, device == Device::cpu(), device,
                " computes no bf16 products yet; use f32 there");
  TARN_CHECK_AS(DeviceError, compute != Compute::bf16 || cpu_has_bf16_products(),
                "this processor (", describe(device),
                ") has no instructions for bf16 products (AVX512_BF16); use f32");
}

}  // namespace tarn::kernels
