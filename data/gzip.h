// gzip streams in memory, for data files that are kept compressed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tarn::data {

// Whether the bytes begin as a gzip stream does.
bool is_gzip(std::string_view bytes);

// What a gzip stream of one member or several holds, or its first `limit` bytes if it holds more;
// the rest is then not looked at. Memory grows with what is there, never with what a header
// promises. Throws IoError, which begins with `source` (a file): the stream is damaged, ends early
// or has bytes behind it.
std::string gunzip(std::string_view bytes, std::int64_t limit, const std::string& source);

// No gzip stream of so many bytes can hold more than this.
std::int64_t most_gunzipped(std::string_view bytes);

// Without a name or a time, so that equal bytes give equal streams.
std::string gzip(std::string_view bytes);

}  // namespace tarn::data
