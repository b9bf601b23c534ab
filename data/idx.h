// IDX, the format of MNIST's files: two zero bytes, a type, the number of dimensions, the size of
// each (32 bits, the highest byte first), then the values, the last dimension fastest.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace tarn::data {

// Unsigned bytes: [count] labels, [count, height, width] images, or [count, height, width,
// channels].
struct IdxArray {
  std::vector<std::int64_t> sizes;
  std::vector<std::uint8_t> values;
};

// Of a file's bytes, plain or gzipped as they themselves say. Throws IoError, which begins with
// `source` (the file): not IDX, of another type or rank, sizes that do not fit the file to the
// byte, a damaged gzip stream. A header that promises much costs no memory.
IdxArray parse_idx(std::string_view bytes, const std::string& source);
IdxArray read_idx(const std::filesystem::path& file);

// Creates or replaces the file, gzipped if its name ends in .gz.
void write_idx(const std::filesystem::path& file, const IdxArray& array);

}  // namespace tarn::data
