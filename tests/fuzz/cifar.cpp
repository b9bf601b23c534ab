// Whatever the bytes, parse_cifar gives whole images with labels from 0 to 9, or an IoError that
// names the file. The input stands for a longer file: each of its bytes is written a number of
// times, since no fuzzer finds a multiple of 3073 bytes by itself.
#include "data/cifar.h"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "core/check.h"

namespace {

void parse(std::string_view bytes) {
  try {
    const tarn::data::ImageSet set = tarn::data::parse_cifar(bytes, "input");
    const auto count = static_cast<std::size_t>(set.count);
    if (count == 0 || count * 3073 != bytes.size()) std::abort();
    if (set.labels.size() != count || set.pixels.size() != count * 3072) std::abort();
    for (const std::uint8_t label : set.labels) {
      if (label > 9) std::abort();
    }
  } catch (const tarn::IoError& error) {
    if (!std::string_view(error.what()).starts_with("input: ")) std::abort();
  }
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): the fuzzer looks for this name
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  parse({reinterpret_cast<const char*>(data), size});
  std::string longer;
  for (std::size_t i = 0; i < size && i < 64; ++i) {
    longer.append(i % 2 == 0 ? 1 : 3072, static_cast<char>(data[i]));
  }
  parse(longer);
  return 0;
}
