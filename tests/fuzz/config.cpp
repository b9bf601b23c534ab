// Any bytes as a config file: a valid Config that survives being written and read again, or an
// error of ours.
#include "train/config/config.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "core/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto config = tarn::train::parse_config(text, "fuzz.toml");
    if (tarn::train::parse_config(tarn::train::to_toml(config), "again.toml") != config) abort();
  } catch (const tarn::UserError&) {
  }
  return 0;
}
