#include "core/io/safetensors.h"

#include <doctest/doctest.h>

#include <bit>
#include <cstring>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "core/io/file.h"
#include "core/transfer.h"
#include "tests/support/temp_dir.h"

namespace tarn {
namespace {

const std::vector<DType> kDTypes = {DType::f32, DType::f64, DType::i32,
                                    DType::i64, DType::u8,  DType::bf16};

Tensor patterned(const Shape& shape, DType dtype, int salt) {
  Tensor tensor = Tensor::empty(shape, dtype, Device::cpu());
  for (std::int64_t i = 0; i < tensor.bytes(); ++i) {
    tensor.raw()[i] = static_cast<std::byte>(i * 7 + salt);
  }
  return tensor;
}

bool same(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() &&
         (a.bytes() == 0 ||
          std::memcmp(a.raw(), b.raw(), static_cast<std::size_t>(a.bytes())) == 0);
}

// The bytes of a file with this header, as another program might write them.
std::string file_bytes(std::string_view header, std::size_t data_bytes) {
  std::uint64_t length = header.size();
  std::string bytes(reinterpret_cast<const char*>(&length), sizeof length);
  return bytes.append(header).append(data_bytes, '\x2a');
}

void check_refused(std::string_view header, std::size_t data_bytes, const char* expected) {
  const test::TempDir dir;
  write_file_atomically(dir / "x.safetensors", file_bytes(header, data_bytes));
  CAPTURE(header);
  CHECK_THROWS_WITH_AS(SafetensorsFile(dir / "x.safetensors"), doctest::Contains("x.safetensors: "),
                       IoError);
  CHECK_THROWS_WITH(SafetensorsFile(dir / "x.safetensors"), doctest::Contains(expected));
}

TEST_CASE("safetensors: every type and odd shape comes back as it was") {
  const test::TempDir dir;
  NamedTensors tensors;
  for (const DType dtype : kDTypes) {
    for (const Shape& shape :
         {Shape{}, Shape{1}, Shape{63}, Shape{3, 0, 5}, Shape{2, 1, 3, 1, 2, 1}, Shape{257, 100}}) {
      const std::string name = message(name_of(dtype), shape);
      tensors.emplace_back(name, patterned(shape, dtype, static_cast<int>(tensors.size())));
    }
  }
  write_safetensors(dir / "x.safetensors", tensors, {{"format", "tarn"}, {"quote\"", "\n"}});
  const SafetensorsFile file(dir / "x.safetensors");
  CHECK(file.path() == dir / "x.safetensors");
  CHECK(file.entries().size() == tensors.size());
  CHECK(file.metadata() ==
        std::map<std::string, std::string>{{"format", "tarn"}, {"quote\"", "\n"}});
  for (const auto& named : tensors) {
    CAPTURE(named.first);
    REQUIRE(file.find(named.first) != nullptr);
    CHECK(file.find(named.first)->readable);
    CHECK(same(file.read(named.first), named.second));
  }
}

TEST_CASE("safetensors: a file without tensors is a file") {
  const test::TempDir dir;
  write_safetensors(dir / "x.safetensors", {});
  CHECK(SafetensorsFile(dir / "x.safetensors").entries().empty());
}

TEST_CASE("safetensors: names may hold anything that is UTF-8") {
  const test::TempDir dir;
  const std::string name = "layers.0/\"quoted\" \\ \n h\xc3\xa9";
  write_safetensors(dir / "x.safetensors", {{name, patterned({3}, DType::f32, 1)}});
  CHECK(SafetensorsFile(dir / "x.safetensors").find(name) != nullptr);
  CHECK_THROWS_WITH_AS(
      write_safetensors(dir / "x.safetensors", {{"\xff", patterned({3}, DType::f32, 1)}}),
      doctest::Contains("not UTF-8"), IoError);
  CHECK_THROWS_WITH_AS(write_safetensors(dir / "x.safetensors", {}, {{"key", "\xff"}}),
                       doctest::Contains("not UTF-8"), IoError);
}

TEST_CASE("safetensors: the bytes are fixed by the content and its order") {
  const test::TempDir dir;
  const Tensor b = patterned({2}, DType::f32, 5);
  const Tensor a = patterned({}, DType::u8, 9);
  write_safetensors(dir / "x.safetensors", {{"b", b}, {"a", a}}, {{"k", "v"}});
  const std::string header = R"({"__metadata__":{"k":"v"},)"
                             R"("b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                             R"("a":{"dtype":"U8","shape":[],"data_offsets":[8,9]}})";
  const std::string bytes = read_file(dir / "x.safetensors");
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  CHECK(length % 8 == 0);
  CHECK(bytes.substr(8, header.size()) == header);
  CHECK(bytes.substr(8 + header.size(), length - header.size()) ==
        std::string(length - header.size(), ' '));
  CHECK(bytes.size() == 8 + length + 9);
  CHECK(std::memcmp(bytes.data() + 8 + length, b.raw(), 8) == 0);

  write_safetensors(dir / "y.safetensors", {{"b", b}, {"a", a}}, {{"k", "v"}});
  CHECK(read_file(dir / "y.safetensors") == bytes);
  write_safetensors(dir / "z.safetensors", {{"a", a}, {"b", b}}, {{"k", "v"}});
  CHECK(read_file(dir / "z.safetensors") != bytes);
}

TEST_CASE("safetensors: entries are sorted by name and found by it") {
  const test::TempDir dir;
  write_safetensors(dir / "x.safetensors", {{"b", patterned({2}, DType::f32, 1)},
                                            {"a.b", patterned({3}, DType::i64, 2)},
                                            {"a", patterned({0}, DType::u8, 3)}});
  const SafetensorsFile file(dir / "x.safetensors");
  REQUIRE(file.entries().size() == 3);
  CHECK(file.entries()[0].name == "a");
  CHECK(file.entries()[1].name == "a.b");
  CHECK(file.entries()[1].stored == "I64");
  CHECK(file.entries()[1].dtype == DType::i64);
  CHECK(file.entries()[1].first_byte == 8);
  CHECK(file.entries()[1].bytes == 24);
  CHECK(file.find("aa") == nullptr);
  CHECK(file.find("z") == nullptr);
  CHECK_THROWS_WITH_AS(file.read("c"), doctest::Contains("there is no tensor \"c\""), IoError);
}

TEST_CASE("safetensors: only what lies in order on the CPU can be written") {
  const test::TempDir dir;
  const auto path = dir / "x.safetensors";
  const Tensor tensor = patterned({2, 3}, DType::f32, 1);
  CHECK_THROWS_WITH_AS(write_safetensors(path, {{"w", tensor.transpose(0, 1)}}),
                       doctest::Contains("x.safetensors: tensor \"w\" is not contiguous"), Error);
  CHECK_THROWS_WITH_AS(write_safetensors(path, {{"w", Tensor()}}),
                       doctest::Contains("tensor \"w\" is undefined"), Error);
  CHECK_THROWS_WITH_AS(write_safetensors(path, {{"w", tensor}, {"w", tensor}}),
                       doctest::Contains("tensor \"w\" is given twice"), Error);
  CHECK_THROWS_AS(write_safetensors(path, {{"__metadata__", tensor}}), Error);
  CHECK_FALSE(std::filesystem::exists(path));
  write_safetensors(path, {{"row", tensor.slice(0, 1, 1)}});
  CHECK(same(SafetensorsFile(path).read("row"), tensor.slice(0, 1, 1)));
}

TEST_CASE("safetensors: a type that tarn lacks is an error only when it is read") {
  const test::TempDir dir;
  write_file_atomically(dir / "x.safetensors",
                        file_bytes(R"({"half":{"dtype":"F16","shape":[3],"data_offsets":[0,6]},)"
                                   R"("mask":{"dtype":"BOOL","shape":[2],"data_offsets":[6,8]},)"
                                   R"("later":{"dtype":"F4","shape":[4],"data_offsets":[8,10]},)"
                                   R"("w":{"dtype":"U8","shape":[2],"data_offsets":[10,12]}})",
                                   12));
  const SafetensorsFile file(dir / "x.safetensors");
  for (const char* name : {"half", "mask", "later"}) {
    REQUIRE(file.find(name) != nullptr);
    CHECK_FALSE(file.find(name)->readable);
  }
  CHECK(file.find("half")->stored == "F16");
  CHECK(file.find("half")->shape == Shape{3});
  CHECK_THROWS_WITH_AS(
      file.read("half"),
      doctest::Contains("tensor \"half\" is F16 [3], and tarn has no such element type"), IoError);
  CHECK(file.read("w").data<std::uint8_t>()[1] == 0x2a);
  check_refused(R"({"half":{"dtype":"F16","shape":[3],"data_offsets":[0,5]}})", 5,
                "has 5 bytes, and F16 [3] takes 6");
}

// Bit patterns and their values by IEEE 754 and the definition of bfloat16.
TEST_CASE("safetensors: floating-point types of other widths are read as f32, to the bit") {
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<std::pair<std::uint16_t, float>> f16 = {
      {0x0000, 0.0F},          {0x8000, -0.0F},    {0x3c00, 1.0F},     {0xc000, -2.0F},
      {0x3555, 0x1.554p-2F},   {0x7bff, 65504.0F}, {0x0400, 0x1p-14F}, {0x0001, 0x1p-24F},
      {0x83ff, -0x1.ff8p-15F}, {0x7c00, infinity}, {0xfc00, -infinity}};
  const std::vector<std::pair<std::uint16_t, float>> bf16 = {
      {0x0000, 0.0F},        {0x3f80, 1.0F},      {0xc049, -3.140625F},
      {0x7f7f, 0x1.fep127F}, {0x0001, 0x1p-133F}, {0xff80, -infinity}};
  const test::TempDir dir;
  const auto check = [&](const char* type, const auto& pairs) {
    CAPTURE(type);
    std::string data;
    for (const auto& [bits, value] : pairs) {
      data.append(reinterpret_cast<const char*>(&bits), sizeof bits);
    }
    const std::string header = message("{\"x\":{\"dtype\":\"", type, "\",\"shape\":[", pairs.size(),
                                       "],\"data_offsets\":[0,", data.size(), "]}}");
    write_file_atomically(dir / "x.safetensors", file_bytes(header, 0) + data);
    const Tensor read = SafetensorsFile(dir / "x.safetensors").read_f32("x");
    REQUIRE(read.dtype() == DType::f32);
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      CAPTURE(i);
      CHECK(std::bit_cast<std::uint32_t>(read.data<float>()[i]) ==
            std::bit_cast<std::uint32_t>(pairs[i].second));
    }
  };
  check("F16", f16);
  check("BF16", bf16);
  const std::vector<double> doubles = {0.1, -1e-300, 3.4e38, -infinity};
  const Tensor wide = from_values<double>(doubles, {4}, Device::cpu());
  write_safetensors(dir / "x.safetensors", {{"x", wide}, {"count", patterned({2}, DType::i32, 1)}});
  const SafetensorsFile file(dir / "x.safetensors");
  for (std::size_t i = 0; i < doubles.size(); ++i) {
    CHECK(file.read_f32("x").data<float>()[i] == static_cast<float>(doubles[i]));
  }
  CHECK_THROWS_WITH_AS(file.read_f32("count"),
                       doctest::Contains("tensor \"count\" is i32 [2], which is no floating-point"),
                       IoError);
}

TEST_CASE("safetensors: a number that f32 cannot hold is an error") {
  const test::TempDir dir;
  const std::vector<double> doubles = {1, -1e39};
  write_safetensors(dir / "x.safetensors",
                    {{"x", from_values<double>(doubles, {2}, Device::cpu())}});
  CHECK_THROWS_WITH_AS(
      SafetensorsFile(dir / "x.safetensors").read_f32("x"),
      doctest::Contains("x.safetensors: tensor \"x\" is f64 [2] and holds a number"), IoError);
}

TEST_CASE("safetensors: another kind of file is named as what it is") {
  using namespace std::string_literals;
  const test::TempDir dir;
  const std::vector<std::pair<std::string, const char*>> kinds = {
      {"", "empty"},
      {"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
       "a git LFS pointer, which stands for the file; git lfs pull"},
      {"<!DOCTYPE html>\n<html><head>", "an HTML page"},
      {"\xef\xbb\xbf\r\n <HTML lang=\"en\">", "an HTML page"},
      {"404: Not Found", "text, which begins with \"404: Not Found\""},
      {"a: 1\n", "text, which begins with \"a: 1\""},
      {"{\"metadata\": {\"total_size\": 12}}", "text, which begins with \"{\"metadata\": {\""},
      {"PK\3\4\0\0\0\0{\0archive/data.pkl"s, "a zip archive, which is what torch.save writes"},
      {"\x80\2\x8a\nl\xfc\x9c\x46\xf9 j"s, "a Python pickle, as torch.save writes"},
      {"\x80\4\x95\0\0\0\0\0\0\0\0}"s, "a Python pickle"},
      // Its first eight bytes are a length that could be.
      {"\x1f\x8b\x08\0\0\0\0\0\0\3"s + std::string(600'000, 'z'), "compressed by gzip"},
      {"\x28\xb5\x2f\xfd\x24\0\0\0\0"s, "compressed by zstd"},
      {"\x89HDF\r\n\x1a\n\0"s, "an HDF5 file"},
      {"\x93NUMPY\1\0v\0{"s, "a NumPy array"},
      {"GGUF\3\0\0\0{\0\0"s, "a GGUF file"}};
  for (const auto& kind : kinds) {
    const char* const name = kind.second;
    CAPTURE(name);
    write_file_atomically(dir / "x.bin", kind.first);
    CHECK_THROWS_WITH_AS(
        SafetensorsFile(dir / "x.bin"),
        doctest::Contains(message("x.bin: not a safetensors file but ", name).c_str()), IoError);
  }
}

TEST_CASE("safetensors: a truncated file is an error that names it") {
  const test::TempDir dir;
  write_safetensors(dir / "x.safetensors",
                    {{"a", patterned({3}, DType::f32, 1)}, {"b", patterned({5}, DType::u8, 2)}},
                    {{"k", "v"}});
  const std::string bytes = read_file(dir / "x.safetensors");
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    CAPTURE(length);
    write_file_atomically(dir / "cut.safetensors", bytes.substr(0, length));
    CHECK_THROWS_WITH_AS(SafetensorsFile(dir / "cut.safetensors"),
                         doctest::Contains("cut.safetensors"), IoError);
  }
}

TEST_CASE("safetensors: a file cut after it was opened is an error when it is read") {
  const test::TempDir dir;
  write_safetensors(dir / "x.safetensors", {{"a", patterned({3}, DType::f32, 1)}});
  const SafetensorsFile file(dir / "x.safetensors");
  std::filesystem::resize_file(dir / "x.safetensors",
                               std::filesystem::file_size(dir / "x.safetensors") - 4);
  CHECK_THROWS_WITH_AS(file.read("a"), doctest::Contains("it ends at byte "), IoError);
}

TEST_CASE("safetensors: a damaged byte is never more than an error") {
  const test::TempDir dir;
  write_safetensors(dir / "x.safetensors", {{"a", patterned({2, 2}, DType::f32, 1)}});
  const std::string bytes = read_file(dir / "x.safetensors");
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (const int flip : {0x01, 0x10, 0x80, 0xff}) {
      std::string damaged = bytes;
      damaged[i] = static_cast<char>(damaged[i] ^ flip);
      write_file_atomically(dir / "y.safetensors", damaged);
      try {
        const SafetensorsFile file(dir / "y.safetensors");
        for (const auto& entry : file.entries()) file.read(entry.name);
      } catch (const IoError& error) {
        REQUIRE(std::string(error.what()).find("y.safetensors") != std::string::npos);
      }
    }
  }
}

TEST_CASE("safetensors: a length that cannot be is an error") {
  const test::TempDir dir;
  for (const std::uint64_t length : {std::uint64_t{3}, std::uint64_t{100'000'001}, UINT64_MAX,
                                     UINT64_MAX - 7, std::uint64_t{1} << 63}) {
    std::string bytes(reinterpret_cast<const char*>(&length), sizeof length);
    write_file_atomically(dir / "x.safetensors", bytes + "{}");
    CHECK_THROWS_WITH_AS(SafetensorsFile(dir / "x.safetensors"),
                         doctest::Contains("x.safetensors: "), IoError);
  }
}

TEST_CASE("safetensors: tensors that overlap or leave gaps are errors") {
  check_refused(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                R"("b":{"dtype":"U8","shape":[4],"data_offsets":[3,7]}})",
                7, "tensor \"b\" begins at byte 3 of the data and overlaps another");
  check_refused(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                R"("b":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})",
                4, "overlaps another");
  check_refused(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[1,5]}})", 5,
                "the 1 bytes before it belong to none");
  check_refused(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", 9,
                "the last 5 bytes belong to no tensor");
  check_refused("{}", 1, "the last 1 bytes belong to no tensor");
}

TEST_CASE("safetensors: offsets that do not fit are errors") {
  check_refused(R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", 8,
                "tensor \"a\" has 8 bytes, and F32 [3] takes 12");
  check_refused(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[4,0]}})", 4, "ends before it");
  check_refused(R"({"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}})", 4,
                "ends at byte 8 of the data, and the file has 4");
  check_refused(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[-1,0]}})", 1, "is no size");
  check_refused(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1.5]}})", 1, "is no size");
  check_refused(
      R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[18446744073709551615,18446744073709551616]}})",
      1, "is no size");
  check_refused(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0]}})", 1, "1 data_offsets");
  check_refused(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":"0,1"}})", 1, "no array");
}

TEST_CASE("safetensors: shapes that cannot be are errors") {
  check_refused(R"({"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}})", 1, "is no size");
  check_refused(R"({"a":{"dtype":"U8","shape":["1"],"data_offsets":[0,1]}})", 1, "is no size");
  check_refused(R"({"a":{"dtype":"U8","shape":[1,1,1,1,1,1,1],"data_offsets":[0,1]}})", 1,
                "has 7 dimensions");
  check_refused(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", 0,
                "impossible shape [4294967296, 4294967296]");
  check_refused(R"({"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}})", 0,
                "impossible shape");
  check_refused(R"({"a":{"dtype":"U8","shape":[0,4294967296,4294967296],"data_offsets":[0,0]}})", 0,
                "impossible shape");
}

TEST_CASE("safetensors: a name given twice is an error that names it") {
  check_refused(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                R"("a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
                2, "the key \"a\" appears twice");
}

TEST_CASE("safetensors: a header that is something else is an error") {
  check_refused("", 0, "not JSON");
  check_refused("[]", 0, "no JSON object");
  check_refused("{\"a\":", 0, "not JSON");
  check_refused(R"({"a":3})", 0, "tensor \"a\" is described by something");
  check_refused(R"({"a":{}})", 0, "no string \"dtype\"");
  check_refused(R"({"a":{"dtype":3,"shape":[],"data_offsets":[0,1]}})", 1, "no string \"dtype\"");
  check_refused(R"({"a":{"dtype":"U8","data_offsets":[0,1]}})", 1, "no array \"shape\"");
  check_refused(R"({"a":{"dtype":"U8","shape":[]}})", 1, "no array \"data_offsets\"");
  check_refused(R"({"__metadata__":[]})", 0, "__metadata__ is no JSON object");
  check_refused(R"({"__metadata__":{"k":1}})", 0, "\"k\" in __metadata__ is no string");
}

TEST_CASE("safetensors: a missing file is an error that names it") {
  const test::TempDir dir;
  CHECK_THROWS_WITH_AS(SafetensorsFile(dir / "none.safetensors"),
                       doctest::Contains("none.safetensors: No such file or directory"), IoError);
  CHECK_THROWS_WITH_AS(SafetensorsFile(dir.path()), doctest::Contains("Is a directory"), IoError);
}

}  // namespace
}  // namespace tarn
