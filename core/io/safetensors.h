// Tensors by name in a file: the safetensors format (an 8-byte length, a JSON header, raw bytes).
#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/io/file.h"
#include "core/tensor.h"

namespace tarn {

using NamedTensors = std::vector<std::pair<std::string, Tensor>>;

// Writes and syncs the file (see write_file). Tensors must be contiguous, on any device; they are
// written in the order given, so equal content gives equal bytes.
void write_safetensors(const std::filesystem::path& file, const NamedTensors& tensors,
                       const std::map<std::string, std::string>& metadata = {});

// An open file: the header is read and checked at once (sizes, bounds; no overlaps, no gaps),
// tensors when asked for. Every problem is an IoError that names the file and the tensor. A tensor
// of a type that tarn lacks is an error only when it is read.
class SafetensorsFile {
 public:
  struct Entry {
    std::string name;
    std::string stored;    // the element type as the file names it: "F32", "BF16"
    bool readable = true;  // false: tarn has no type for it, so dtype means nothing
    DType dtype = DType::f32;
    Shape shape;
    std::int64_t first_byte = 0;  // from the end of the header
    std::int64_t bytes = 0;

    bool holds(DType expected) const { return readable && dtype == expected; }
    std::string str() const;  // "f32 [3, 4]"; "F16 [3, 4]" where tarn has no type
  };

  explicit SafetensorsFile(const std::filesystem::path& file);
  explicit SafetensorsFile(InputFile file);

  const std::filesystem::path& path() const { return file_.path(); }
  const std::vector<Entry>& entries() const { return entries_; }  // sorted by name
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const Entry* find(std::string_view name) const;  // nullptr if the file has no such tensor
  Tensor read(std::string_view name) const;        // on the CPU; throws if there is no such tensor
  // The same as f32, from F32, F64, F16 or BF16 (is_stored_float); throws for other types, and for
  // a number that is too large for f32.
  Tensor read_f32(std::string_view name) const;

 private:
  void check_kind() const;
  void parse_header(std::string_view header, std::int64_t data_bytes);
  const Entry& entry_of(std::string_view name) const;
  void read_bytes(const Entry& entry, std::span<std::byte> buffer) const;

  InputFile file_;
  std::int64_t data_start_ = 0;
  std::vector<Entry> entries_;
  std::map<std::string, std::string> metadata_;
};

}  // namespace tarn
