// Whatever the bytes behind a gzip header, gunzip gives no more than it is allowed or an IoError
// that names the file; and its limit changes how much is given, not what.
#include "data/gzip.h"

#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "core/check.h"

namespace {

std::optional<std::string> gunzip(std::string_view bytes, std::int64_t limit) {
  try {
    std::string content = tarn::data::gunzip(bytes, limit, "input");
    if (static_cast<std::int64_t>(content.size()) > limit) std::abort();
    return content;
  } catch (const tarn::IoError& error) {
    if (!std::string_view(error.what()).starts_with("input: ")) std::abort();
    return std::nullopt;
  }
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): the fuzzer looks for this name
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::string_view kHeader("\x1f\x8b\x08\0\0\0\0\0\0\x03", 10);
  std::string bytes(kHeader);
  bytes.append(reinterpret_cast<const char*>(data), size);
  const std::int64_t most = tarn::data::most_gunzipped(bytes);
  const auto all = gunzip(bytes, most + 1);
  if (all && static_cast<std::int64_t>(all->size()) > most) std::abort();
  const auto start = gunzip(bytes, 20);
  if (all && (!start || *start != all->substr(0, 20))) std::abort();
  return 0;
}
