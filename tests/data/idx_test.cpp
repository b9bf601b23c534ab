#include "data/idx.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "core/check.h"
#include "core/io/file.h"
#include "tests/support/image_files.h"
#include "tests/support/temp_dir.h"

namespace tarn::data {
namespace {

using test::gzip_bytes;
using test::idx_bytes;
using test::made_values;

std::vector<std::uint8_t> bytes_of(const std::string& text) { return {text.begin(), text.end()}; }

// Refused as a user's error that begins with the file's name and has the text.
void check_refused(const std::string& bytes, const char* expected) {
  INFO("expected: ", expected);
  CHECK_THROWS_WITH_AS(parse_idx(bytes, "dir/file"), doctest::Contains(expected), IoError);
  CHECK_THROWS_WITH_AS(parse_idx(bytes, "dir/file"), doctest::Contains("dir/file: "), IoError);
}

TEST_CASE("idx: labels, images and images of channels, plain and gzipped") {
  const std::vector<std::vector<std::uint32_t>> shapes = {
      {1}, {7}, {0}, {2, 3, 5}, {1, 1, 1}, {0, 28, 28}, {3, 4, 5, 3}, {300, 1, 2}};
  for (const auto& sizes : shapes) {
    std::int64_t count = 1;
    for (const std::uint32_t size : sizes) count *= size;
    const std::string values = made_values(1, count);
    const std::string bytes = idx_bytes(sizes, values);
    for (const std::string& file : {bytes, gzip_bytes(bytes)}) {
      const IdxArray array = parse_idx(file, "file");
      CHECK(array.sizes == std::vector<std::int64_t>(sizes.begin(), sizes.end()));
      CHECK(array.values == bytes_of(values));
    }
  }
}

TEST_CASE("idx: what is written is read, and gzipped by the name") {
  const test::TempDir dir;
  const IdxArray array{{100, 28, 28}, bytes_of(made_values(100, 784))};
  write_idx(dir / "plain", array);
  CHECK(read_file(dir / "plain") == idx_bytes({100, 28, 28}, made_values(100, 784)));
  write_idx(dir / "zipped.gz", array);
  CHECK(read_file(dir / "zipped.gz").substr(0, 2) == "\x1f\x8b");
  for (const char* name : {"plain", "zipped.gz"}) {
    const IdxArray read = read_idx(dir / name);
    CHECK(read.sizes == array.sizes);
    CHECK(read.values == array.values);
  }
}

TEST_CASE("idx: a file that is not IDX, or not of unsigned bytes") {
  check_refused("", "is not an IDX file: it has 0 bytes");
  check_refused(std::string("\0\0\x08", 3), "is not an IDX file: it has 3 bytes");
  check_refused("PNG and so on", "begins with 50 4e 47 20; expected 00 00 08");
  check_refused(std::string("\0\0\x07\x01\0\0\0\0", 8), "begins with 00 00 07 01");
  check_refused(std::string("\0\x01\x08\x01\0\0\0\0", 8), "begins with 00 01 08 01");
  check_refused(std::string("\0\0\x0d\x01\0\0\0\0", 8), "holds 32-bit floats; only IDX files of");
  check_refused(gzip_bytes("not an image"), "begins with 6e 6f 74 20");
  check_refused(gzip_bytes(""), "is not an IDX file: it has 0 bytes");
  check_refused(idx_bytes({3, 2}, "abcdef"), "has 2 dimensions; expected 1 (labels), 3");
  check_refused(idx_bytes({}, ""), "has 0 dimensions");
  check_refused(idx_bytes({1, 1, 1, 1, 1}, "a"), "has 5 dimensions");
}

TEST_CASE("idx: a file that is cut anywhere") {
  const std::string bytes = idx_bytes({2, 3, 3}, made_values(2, 9));
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CAPTURE(size);
    CHECK_THROWS_AS(parse_idx(bytes.substr(0, size), "file"), IoError);
    CHECK_THROWS_AS(parse_idx(gzip_bytes(bytes.substr(0, size)), "file"), IoError);
  }
  check_refused(bytes.substr(0, 10), "ends at byte 10, inside its header of 16 bytes");
  check_refused(bytes.substr(0, 33), "ends at byte 33; a header of [2, 3, 3] wants 34 bytes");
  check_refused(gzip_bytes(bytes.substr(0, 33)), "ends at byte 33; a header of [2, 3, 3] wants 34");
}

TEST_CASE("idx: a file that goes on after its end") {
  const std::string bytes = idx_bytes({2, 3, 3}, made_values(2, 9)) + "x";
  check_refused(bytes, "goes on after byte 34, where a header of [2, 3, 3] has its end");
  check_refused(gzip_bytes(bytes), "goes on after byte 34, where a header of [2, 3, 3]");
  check_refused(idx_bytes({0}, "x"), "goes on after byte 8");
}

TEST_CASE("idx: a gzip stream that is cut anywhere") {
  const std::string stream = gzip_bytes(idx_bytes({20, 4, 4}, made_values(20, 16)));
  for (std::size_t size = 2; size < stream.size(); ++size) {
    CAPTURE(size);
    check_refused(stream.substr(0, size), size < 12 ? "file: " : "its gzip stream ends early");
  }
}

TEST_CASE("idx: a gzip stream with a byte changed gives an error or the same content") {
  const std::string bytes = idx_bytes({20, 4, 4}, made_values(20, 16));
  const std::string stream = gzip_bytes(bytes);
  int refused = 0;
  for (std::size_t at = 0; at < stream.size(); ++at) {
    std::string changed = stream;
    changed[at] = static_cast<char>(changed[at] ^ 0x10);
    try {
      const IdxArray array = parse_idx(changed, "file");
      CHECK(array.values == bytes_of(made_values(20, 16)));
      CHECK(at < 10);  // the time and the system in gzip's header, which mean nothing here
    } catch (const IoError&) {
      ++refused;
    }
  }
  CHECK(refused >= static_cast<int>(stream.size()) - 8);
  std::string changed = stream;
  changed[stream.size() - 6] ^= 1;  // in the checksum
  check_refused(changed, "its gzip stream is damaged (incorrect data check) after 336 bytes");
}

TEST_CASE("idx: bytes behind a gzip stream") {
  const std::string stream = gzip_bytes(idx_bytes({3}, "abc"));
  check_refused(stream + "junk", "4 bytes follow its gzip stream");
  check_refused(stream + "\x1f\x8bjunk", "gzip stream");
}

TEST_CASE("idx: a gzip stream of several members") {
  const std::string bytes = idx_bytes({20, 4, 4}, made_values(20, 16));
  for (const std::size_t at : {std::size_t{0}, std::size_t{1}, std::size_t{16}, bytes.size()}) {
    const std::string parts = gzip_bytes(bytes.substr(0, at)) + gzip_bytes(bytes.substr(at));
    CHECK(parse_idx(parts, "file").values == bytes_of(made_values(20, 16)));
    check_refused(parts.substr(0, parts.size() - 5), "gzip stream ends early");
  }
}

TEST_CASE("idx: a header that promises more than there is costs nothing") {
  constexpr std::uint32_t kMost = 0xffffffff;
  for (const auto& sizes : std::vector<std::vector<std::uint32_t>>{
           {kMost}, {kMost, kMost, kMost}, {kMost, kMost, kMost, kMost}, {60000, 28, 28}}) {
    check_refused(idx_bytes(sizes, "values"), "bytes are fewer than that");
    check_refused(gzip_bytes(idx_bytes(sizes, "values")), "bytes of gzip cannot hold so much");
  }
  // Sizes of which one is 0 make nothing, whatever the others are.
  CHECK(parse_idx(idx_bytes({kMost, kMost, 0}, ""), "file").values.empty());
}

TEST_CASE("idx: a gzip stream that inflates to far more than its header says is left early") {
  std::string bytes = idx_bytes({10, 28, 28}, "");
  bytes.resize(32 << 20, '\0');
  check_refused(gzip_bytes(bytes), "goes on after byte 7856");
}

TEST_CASE("idx: a file that cannot be read is named") {
  const test::TempDir dir;
  const std::string none = (dir / "none").string();
  CHECK_THROWS_WITH_AS(read_idx(none),
                       message("cannot open ", none, ": No such file or directory").c_str(),
                       IoError);
  CHECK_THROWS_WITH_AS(read_idx(dir.path()), doctest::Contains("Is a directory"), IoError);
}

}  // namespace
}  // namespace tarn::data
