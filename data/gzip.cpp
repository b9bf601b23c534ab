#include "data/gzip.h"

#include <zlib.h>

#include <algorithm>

#include "core/check.h"

namespace tarn::data {
namespace {

constexpr int kGzipWindow = 15 + 16;                       // the largest, and gzip's own wrapping
constexpr std::size_t kMostAtOnce = std::size_t{1} << 30;  // zlib counts in 32 bits

// zlib's state, freed at the end. zlib never writes through next_in.
struct Inflater {
  explicit Inflater(std::string_view bytes) : left(bytes) {
    TARN_CHECK(::inflateInit2(&stream, kGzipWindow) == Z_OK, "zlib cannot start: out of memory");
  }
  ~Inflater() { ::inflateEnd(&stream); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  // Writes what it can into the room; `used` is how many bytes that was.
  int run(char* room, std::size_t size, std::size_t& used) {
    const std::size_t given = std::min(left.size(), kMostAtOnce);
    const std::size_t available = std::min(size, kMostAtOnce);
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(left.data()));
    stream.avail_in = static_cast<uInt>(given);
    stream.next_out = reinterpret_cast<Bytef*>(room);
    stream.avail_out = static_cast<uInt>(available);
    const int result = ::inflate(&stream, Z_NO_FLUSH);
    left.remove_prefix(given - stream.avail_in);
    used = available - stream.avail_out;
    return result;
  }

  z_stream stream{};
  std::string_view left;
};

}  // namespace

bool is_gzip(std::string_view bytes) { return bytes.starts_with("\x1f\x8b"); }

std::string gunzip(std::string_view bytes, std::int64_t limit, const std::string& source) {
  const auto most = static_cast<std::size_t>(limit);
  Inflater inflater(bytes);
  std::string out;
  std::size_t size = 0;
  while (size < most) {
    if (size == out.size()) out.resize(std::min(most, std::max(2 * size, std::size_t{1} << 16)));
    std::size_t used = 0;
    const int result = inflater.run(out.data() + size, out.size() - size, used);
    size += used;
    if (result == Z_STREAM_END) {
      if (is_gzip(inflater.left)) {  // another member, as programs write that compress in parts
        ::inflateReset(&inflater.stream);
        continue;
      }
      TARN_CHECK_AS(IoError, inflater.left.empty(), source, ": ", inflater.left.size(),
                    " bytes follow its gzip stream");
      break;
    }
    // Z_BUF_ERROR means that there is no room or no input. There was room, so the input has ended.
    TARN_CHECK_AS(IoError, result != Z_BUF_ERROR, source, ": its gzip stream ends early, after ",
                  size, " bytes of content");
    TARN_CHECK_AS(IoError, result == Z_OK, source, ": its gzip stream is damaged (",
                  inflater.stream.msg != nullptr ? inflater.stream.msg : "zlib cannot go on",
                  ") after ", size, " bytes of content");
  }
  out.resize(size);
  return out;
}

std::int64_t most_gunzipped(std::string_view bytes) {
  constexpr std::int64_t kMostRatio = 1032;  // deflate: 258 bytes a match, two bits a match
  return kMostRatio * static_cast<std::int64_t>(bytes.size());
}

std::string gzip(std::string_view bytes) {
  z_stream stream{};
  TARN_CHECK(bytes.size() <= kMostAtOnce, "gzip: ", bytes.size(), " bytes are too many at once");
  TARN_CHECK(::deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, kGzipWindow, 8,
                            Z_DEFAULT_STRATEGY) == Z_OK,
             "zlib cannot start: out of memory");
  std::string out(::deflateBound(&stream, static_cast<uLong>(bytes.size())), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  ::deflate(&stream, Z_FINISH);  // it has room for all
  out.resize(stream.total_out);
  ::deflateEnd(&stream);
  return out;
}

}  // namespace tarn::data
