// Whatever the bytes, opening them as a safetensors file and reading every tensor gives values or
// an IoError.
#include "core/io/safetensors.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "core/check.h"

namespace {

void read_all(const std::string& file) {
  const tarn::SafetensorsFile opened(file);
  for (const auto& entry : opened.entries()) {
    if (opened.find(entry.name) != &entry) std::abort();
    if (!entry.readable) continue;
    const tarn::Tensor tensor = opened.read(entry.name);
    if (tensor.shape() != entry.shape || tensor.bytes() != entry.bytes) std::abort();
  }
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): the fuzzer looks for this name
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const int descriptor = memfd_create("input", MFD_CLOEXEC);
  if (descriptor < 0 || write(descriptor, data, size) != static_cast<ssize_t>(size)) std::abort();
  try {
    read_all("/proc/self/fd/" + std::to_string(descriptor));
  } catch (const tarn::IoError&) {  // anything else ends the run
  }
  close(descriptor);
  return 0;
}
