#include "core/device.h"

#include <charconv>

#include "core/check.h"
#include "core/device_runtime.h"

namespace tarn {

namespace {

std::int32_t g_place = 0;

// The device that "cuda" means in this process.
Device own_cuda_device() {
  const std::int32_t count = runtime_of(Device::cuda(0)).count();
  return Device::cuda(g_place % count);
}

}  // namespace

void set_place_among_processes(std::int32_t place) { g_place = place; }

std::string Device::str() const {
  return kind == DeviceKind::cpu ? "cpu" : message("cuda:", index);
}

Device parse_device(std::string_view text) {
  if (text == "cpu") return Device::cpu();
  if (text == "cuda") return own_cuda_device();
  Device device = Device::cuda(0);
  constexpr std::string_view kIndexed = "cuda:";
  bool known = false;
  if (text.starts_with(kIndexed)) {
    const char* begin = text.data() + kIndexed.size();
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(begin, end, device.index);
    known = error == std::errc() && stop == end && device.index >= 0;
  }
  TARN_CHECK_AS(DeviceError, known, "\"", text,
                "\" is not a device; use \"cpu\", \"cuda\" or \"cuda:1\"");
  runtime_of(device);
  return device;
}

}  // namespace tarn
