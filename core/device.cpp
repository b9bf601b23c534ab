#include "core/device.h"

#include "core/check.h"

namespace tarn {

std::string Device::str() const {
  return kind == DeviceKind::cpu ? "cpu" : message("cuda:", index);
}

Device parse_device(std::string_view text) {
  if (text == "cpu") return Device::cpu();
  if (text == "cuda" || text.starts_with("cuda:")) {
    fail<DeviceError>("device \"", text,
                      "\" is not available: this build of tarn has no CUDA backend; use \"cpu\"");
  }
  fail<DeviceError>("\"", text, "\" is not a device; use \"cpu\" or \"cuda:0\"");
}

}  // namespace tarn
