// Whatever the bytes, parse_idx gives an array that its sizes fit, or an IoError that names the
// file. The same bytes inside a gzip stream give the same; and so does that stream, or an error,
// with a byte changed or the end cut off, where the last bytes of the input choose.
#include "data/idx.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <numeric>
#include <optional>
#include <string_view>

#include "core/check.h"
#include "data/gzip.h"

namespace {

using tarn::data::IdxArray;

std::optional<IdxArray> parse(std::string_view bytes) {
  try {
    IdxArray array = tarn::data::parse_idx(bytes, "input");
    const auto& sizes = array.sizes;
    const bool empty = std::find(sizes.begin(), sizes.end(), 0) != sizes.end();
    const std::int64_t values =
        empty ? 0
              : std::accumulate(sizes.begin(), sizes.end(), std::int64_t{1}, std::multiplies<>());
    if (values != static_cast<std::int64_t>(array.values.size())) std::abort();
    return array;
  } catch (const tarn::IoError& error) {
    if (!std::string_view(error.what()).starts_with("input: ")) std::abort();
    return std::nullopt;
  }
}

bool equal(const std::optional<IdxArray>& a, const std::optional<IdxArray>& b) {
  if (!a || !b) return !a && !b;
  return a->sizes == b->sizes && a->values == b->values;
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): the fuzzer looks for this name
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto plain = parse(bytes);
  if (tarn::data::is_gzip(bytes)) return 0;  // a stream inside a stream is not looked into
  std::string stream = tarn::data::gzip(bytes);
  if (!equal(parse(stream), plain)) std::abort();
  if (size < 3) return 0;
  const std::size_t at = (std::size_t{data[size - 3]} << 8 | data[size - 2]) % stream.size();
  if (parse(std::string_view(stream).substr(0, at))) std::abort();
  stream[at] = static_cast<char>(data[size - 1]);
  const auto changed = parse(stream);
  if (changed && !equal(changed, plain)) std::abort();
  return 0;
}
