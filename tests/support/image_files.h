// Small image files in the formats that data/ reads, made without its help: IDX (plain and gzipped)
// and CIFAR-10's records.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace tarn::test {

inline void write_bytes(const std::filesystem::path& file, std::string_view bytes) {
  std::ofstream out(file, std::ios::binary);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!out.flush()) throw std::runtime_error("cannot write " + file.string());
}

// Value i of image n, in the order of the file: each image differs from those near it.
inline char made_value(std::int64_t n, std::int64_t i) {
  return static_cast<char>((37 * n + 11 * i + i / 5) % 256);
}

inline std::string made_values(std::int64_t count, std::int64_t values) {
  std::string out;
  for (std::int64_t n = 0; n < count; ++n) {
    for (std::int64_t i = 0; i < values; ++i) out += made_value(n, i);
  }
  return out;
}

// Labels 0 .. 9 in turn.
inline std::string made_labels(std::int64_t count) {
  std::string out;
  for (std::int64_t n = 0; n < count; ++n) out += static_cast<char>(n % 10);
  return out;
}

// An IDX file of unsigned bytes; whether the values fit the sizes is up to the caller.
inline std::string idx_bytes(const std::vector<std::uint32_t>& sizes, std::string_view values) {
  std::string out{'\0', '\0', '\x08', static_cast<char>(sizes.size())};
  for (const std::uint32_t size : sizes) {
    for (const int shift : {24, 16, 8, 0}) out += static_cast<char>(size >> shift & 255);
  }
  return out.append(values);
}

inline std::string gzip_bytes(std::string_view bytes) {
  z_stream stream{};
  constexpr int kGzip = 15 + 16;  // the largest window, and gzip's header and trailer around it
  if (deflateInit2(&stream, 9, Z_DEFLATED, kGzip, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    throw std::runtime_error("deflateInit2");
  }
  std::string out(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int result = deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  if (result != Z_STREAM_END) throw std::runtime_error("deflate");
  return out;
}

// CIFAR-10 records first .. first + count - 1: label n % 10, then values made as above.
inline std::string cifar_bytes(std::int64_t first, std::int64_t count) {
  std::string out;
  for (std::int64_t n = first; n < first + count; ++n) {
    out += static_cast<char>(n % 10);
    for (std::int64_t i = 0; i < 3072; ++i) out += made_value(n, i);
  }
  return out;
}

// A folder as MNIST's, of images height x width. The test images are the first training images.
inline void write_idx_folder(const std::filesystem::path& folder, std::uint32_t train,
                             std::uint32_t test, std::uint32_t height, std::uint32_t width) {
  std::filesystem::create_directories(folder);
  const auto write = [&](const std::string& part, std::uint32_t count) {
    const std::string values = made_values(count, std::int64_t{height} * width);
    write_bytes(folder / (part + "-images-idx3-ubyte.gz"),
                gzip_bytes(idx_bytes({count, height, width}, values)));
    write_bytes(folder / (part + "-labels-idx1-ubyte"), idx_bytes({count}, made_labels(count)));
  };
  write("train", train);
  write("t10k", test);
}

// A folder as CIFAR-10's: batches of `records` each with the records in order, and the test batch.
inline void write_cifar_folder(const std::filesystem::path& folder, int batches,
                               std::int64_t records, std::int64_t test) {
  std::filesystem::create_directories(folder);
  for (int i = 0; i < batches; ++i) {
    std::string name = "data_batch_";
    name += std::to_string(i + 1);
    write_bytes(folder / (name + ".bin"), cifar_bytes(i * records, records));
  }
  write_bytes(folder / "test_batch.bin", cifar_bytes(0, test));
}

}  // namespace tarn::test
