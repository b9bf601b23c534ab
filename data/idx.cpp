#include "data/idx.h"

#include <algorithm>
#include <cstdio>

#include "core/check.h"
#include "core/io/file.h"
#include "data/gzip.h"

namespace tarn::data {
namespace {

constexpr std::size_t kMagicBytes = 4, kSizeBytes = 4, kLargestRank = 4;
constexpr unsigned char kUnsignedByte = 0x08;

std::string hex_of(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    char digits[4];
    std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned char>(c));
    out += out.empty() ? "" : " ";
    out += digits;
  }
  return out;
}

std::string text_of(const std::vector<std::int64_t>& sizes) {
  std::string out;
  for (const std::int64_t size : sizes) {
    out += out.empty() ? "[" : ", ";
    out += std::to_string(size);
  }
  return out += "]";
}

// What the other types of the format are called; nullptr if there is no such type.
const char* other_type(unsigned char type) {
  switch (type) {
    case 0x09:
      return "signed bytes";
    case 0x0b:
      return "16-bit integers";
    case 0x0c:
      return "32-bit integers";
    case 0x0d:
      return "32-bit floats";
    case 0x0e:
      return "64-bit floats";
    default:
      return nullptr;
  }
}

// The number of dimensions, from the first four bytes.
std::size_t parse_magic(std::string_view start, const std::string& source) {
  TARN_CHECK_AS(IoError, start.size() >= kMagicBytes, source, ": is not an IDX file: it has ",
                start.size(), " bytes, fewer than the four that begin one");
  const std::string_view magic = start.substr(0, kMagicBytes);
  const auto type = static_cast<unsigned char>(magic[2]);
  const char* other = magic.starts_with(std::string_view("\0\0", 2)) ? other_type(type) : nullptr;
  TARN_CHECK_AS(IoError, other == nullptr, source, ": holds ", other == nullptr ? "" : other,
                "; only IDX files of unsigned bytes are read");
  TARN_CHECK_AS(IoError, magic.starts_with(std::string_view("\0\0\x08", 3)), source,
                ": is not an IDX file: it begins with ", hex_of(magic),
                "; expected 00 00 08 and the number of dimensions (or a gzip stream of that)");
  const auto rank = static_cast<std::size_t>(static_cast<unsigned char>(magic[3]));
  TARN_CHECK_AS(IoError, rank == 1 || rank == 3 || rank == 4, source, ": has ", rank,
                " dimensions; expected 1 (labels), 3 (count, height, width) or 4 (and channels)");
  return rank;
}

std::int64_t parse_size(std::string_view bytes) {
  std::int64_t size = 0;
  for (const char c : bytes) size = size << 8 | static_cast<unsigned char>(c);
  return size;
}

// The product of the sizes, or `most + 1` if it is more than `most`.
std::int64_t count_values(const std::vector<std::int64_t>& sizes, std::int64_t most) {
  if (std::find(sizes.begin(), sizes.end(), 0) != sizes.end()) return 0;
  std::int64_t values = 1;
  for (const std::int64_t size : sizes) {
    if (size > most / values) return most + 1;
    values *= size;
  }
  return values;
}

}  // namespace

IdxArray parse_idx(std::string_view bytes, const std::string& source) {
  constexpr std::size_t kLongestHeader = kMagicBytes + kLargestRank * kSizeBytes;
  const bool zipped = is_gzip(bytes);
  const std::string unzipped_start = zipped ? gunzip(bytes, kLongestHeader, source) : "";
  const std::string_view start = zipped ? unzipped_start : bytes.substr(0, kLongestHeader);
  const std::size_t header = kMagicBytes + kSizeBytes * parse_magic(start, source);
  TARN_CHECK_AS(IoError, start.size() >= header, source, ": ends at byte ", start.size(),
                ", inside its header of ", header, " bytes");
  IdxArray array;
  for (std::size_t at = kMagicBytes; at < header; at += kSizeBytes) {
    array.sizes.push_back(parse_size(start.substr(at, kSizeBytes)));
  }

  // The size that the header promises is compared with the file's before memory is allocated for
  // it.
  const std::int64_t most =
      zipped ? most_gunzipped(bytes) : static_cast<std::int64_t>(bytes.size());
  const std::int64_t values = count_values(array.sizes, most);
  const auto expected = header + static_cast<std::size_t>(values);
  TARN_CHECK_AS(IoError, values <= most, source, ": is too short for a header of ",
                text_of(array.sizes), ": its ", bytes.size(),
                zipped ? " bytes of gzip cannot hold so much" : " bytes are fewer than that");
  const std::string unzipped =
      zipped ? gunzip(bytes, static_cast<std::int64_t>(expected) + 1, source) : "";
  const std::string_view all = zipped ? unzipped : bytes;
  TARN_CHECK_AS(IoError, all.size() >= expected, source, ": ends at byte ", all.size(),
                "; a header of ", text_of(array.sizes), " wants ", expected, " bytes");
  TARN_CHECK_AS(IoError, all.size() == expected, source, ": goes on after byte ", expected,
                ", where a header of ", text_of(array.sizes), " has its end");
  array.values.assign(all.begin() + static_cast<std::ptrdiff_t>(header), all.end());
  return array;
}

IdxArray read_idx(const std::filesystem::path& file) {
  return parse_idx(read_file(file), file.string());
}

void write_idx(const std::filesystem::path& file, const IdxArray& array) {
  std::string bytes{'\0', '\0', static_cast<char>(kUnsignedByte),
                    static_cast<char>(array.sizes.size())};
  for (const std::int64_t size : array.sizes) {
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(size >> shift & 255);
  }
  bytes.append(array.values.begin(), array.values.end());
  const std::string content = file.extension() == ".gz" ? gzip(bytes) : std::move(bytes);
  const std::string_view part = content;
  write_file(file, {&part, 1});
}

}  // namespace tarn::data
