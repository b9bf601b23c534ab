// Where bytes live and kernels run: the CPU, or a CUDA device by index.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tarn {

enum class DeviceKind : std::uint8_t { cpu, cuda };

struct Device {
  DeviceKind kind = DeviceKind::cpu;
  std::int32_t index = 0;

  static constexpr Device cpu() { return {}; }
  static constexpr Device cuda(std::int32_t index) { return {DeviceKind::cuda, index}; }

  std::string str() const;  // "cpu", "cuda:0"
  friend constexpr bool operator==(const Device&, const Device&) = default;
};

constexpr const char* name_of(DeviceKind kind) { return kind == DeviceKind::cpu ? "cpu" : "cuda"; }

// The device that a config names: "cpu", "cuda" or "cuda:1". Throws DeviceError when the text names
// none, or names one that this build or machine lacks: nothing falls back silently.
Device parse_device(std::string_view text);

// Of several processes on a machine this is the one of that number, from 0: from now on "cuda" is
// the device of that number, counted round where there are fewer. It is 0 until this is called.
void set_place_among_processes(std::int32_t place);

}  // namespace tarn
