// Whatever the bytes, parse_json gives a value or an IoError, and a value survives being written.
#include "core/io/json.h"

#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "core/check.h"

// NOLINTNEXTLINE(readability-identifier-naming): the fuzzer looks for this name
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const nlohmann::json value = tarn::parse_json(text, "input");
    if (tarn::parse_json(value.dump(), "its own output") != value) std::abort();
  } catch (const tarn::IoError& error) {
    if (!std::string_view(error.what()).starts_with("input: ")) std::abort();
  }
  return 0;
}
