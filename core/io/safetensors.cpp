#include "core/io/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "core/check.h"
#include "core/io/file_kind.h"
#include "core/io/json.h"
#include "core/io/stored_floats.h"
#include "core/transfer.h"

namespace tarn {
namespace {

using nlohmann::json;
using Entry = SafetensorsFile::Entry;

static_assert(std::endian::native == std::endian::little, "the format is little-endian");

constexpr std::uint64_t kMaxHeader = 100'000'000;  // the reference implementation's own limit
constexpr std::int64_t kLengthBytes = 8;
constexpr const char* kMetadata = "__metadata__";

// An element type of the format, and tarn's own for it if there is one.
struct StoredType {
  std::string_view name;
  std::int64_t bytes;
  std::optional<DType> dtype;
};
constexpr std::array kStoredTypes = {
    StoredType{"F32", 4, DType::f32},       StoredType{"F64", 8, DType::f64},
    StoredType{"I32", 4, DType::i32},       StoredType{"I64", 8, DType::i64},
    StoredType{"U8", 1, DType::u8},         StoredType{"BF16", 2, DType::bf16},
    StoredType{"BOOL", 1, std::nullopt},    StoredType{"I8", 1, std::nullopt},
    StoredType{"F8_E4M3", 1, std::nullopt}, StoredType{"F8_E5M2", 1, std::nullopt},
    StoredType{"F8_E8M0", 1, std::nullopt}, StoredType{"I16", 2, std::nullopt},
    StoredType{"U16", 2, std::nullopt},     StoredType{"F16", 2, std::nullopt},
    StoredType{"U32", 4, std::nullopt},     StoredType{"U64", 8, std::nullopt},
    StoredType{"C64", 8, std::nullopt}};

std::string_view stored_name(DType dtype) {
  for (const StoredType& type : kStoredTypes) {
    if (type.dtype == dtype) return type.name;
  }
  fail<IoError>("the safetensors format has no type for ", name_of(dtype));
}

// Says which file and which tensor is wrong.
class TensorCheck {
 public:
  TensorCheck(const std::filesystem::path& file, const std::string& tensor)
      : prefix_(message(file.string(), ": tensor \"", tensor, "\" ")) {}

  template <class... Parts>
  void require(bool condition, const Parts&... parts) const {
    TARN_CHECK_AS(IoError, condition, prefix_, parts...);
  }

 private:
  std::string prefix_;
};

// A JSON number that is a size: whole, not negative, and within 63 bits.
std::int64_t size_from(const json& value, const TensorCheck& check, const char* what) {
  const bool is_size = value.is_number_unsigned() && value.get<std::uint64_t>() <= INT64_MAX;
  check.require(is_size, "has ", value.is_number() ? value.dump() : value.type_name(), " in ", what,
                ", which is no size");
  return value.get<std::int64_t>();
}

const json& array_of(const json& description, const char* key, const TensorCheck& check) {
  const auto found = description.find(key);
  check.require(found != description.end() && found->is_array(), "has no array \"", key, "\"");
  return *found;
}

Shape shape_from(const json& sizes, const TensorCheck& check) {
  check.require(sizes.size() <= Shape::kMaxRank, "has ", sizes.size(),
                " dimensions; tarn has at most ", Shape::kMaxRank);
  Shape shape = Shape::of_rank(static_cast<int>(sizes.size()), 0);
  for (int d = 0; d < shape.rank(); ++d) {
    shape[d] = size_from(sizes[static_cast<std::size_t>(d)], check, "its shape");
  }
  return shape;
}

// The bytes of a tensor; strides are products of sizes too, so a 0 does not excuse the others.
std::int64_t bytes_of(const Shape& shape, std::int64_t element, const TensorCheck& check) {
  std::int64_t bytes = element;
  for (int d = 0; d < shape.rank(); ++d) {
    const std::int64_t factor = std::max<std::int64_t>(shape[d], 1);
    check.require(!__builtin_mul_overflow(bytes, factor, &bytes), "has the impossible shape ",
                  shape);
  }
  return shape.elements() == 0 ? 0 : bytes;
}

Entry entry_from(const std::string& name, const json& description, std::int64_t data_bytes,
                 const TensorCheck& check) {
  check.require(description.is_object(), "is described by something that is no JSON object");
  const auto dtype = description.find("dtype");
  check.require(dtype != description.end() && dtype->is_string(), "has no string \"dtype\"");

  Entry entry;
  entry.name = name;
  entry.stored = dtype->get<std::string>();
  entry.shape = shape_from(array_of(description, "shape", check), check);
  const json& offsets = array_of(description, "data_offsets", check);
  check.require(offsets.size() == 2, "has ", offsets.size(), " data_offsets, not 2");
  entry.first_byte = size_from(offsets[0], check, "its data_offsets");
  const std::int64_t end = size_from(offsets[1], check, "its data_offsets");
  check.require(entry.first_byte <= end, "ends before it begins: data_offsets ", offsets.dump());
  check.require(end <= data_bytes, "ends at byte ", end, " of the data, and the file has ",
                data_bytes);
  entry.bytes = end - entry.first_byte;

  // A type that is not known at all may be newer than this program; its size is taken on trust.
  const auto* type = std::find_if(kStoredTypes.begin(), kStoredTypes.end(),
                                  [&](const StoredType& t) { return t.name == entry.stored; });
  const bool known = type != kStoredTypes.end();
  const std::int64_t expected = bytes_of(entry.shape, known ? type->bytes : 1, check);
  check.require(!known || expected == entry.bytes, "has ", entry.bytes, " bytes, and ",
                entry.stored, " ", entry.shape, " takes ", expected);
  entry.readable = known && type->dtype.has_value();
  if (entry.readable) entry.dtype = *type->dtype;
  return entry;
}

// The format wants every byte of the data to belong to exactly one tensor.
void check_layout(const std::filesystem::path& file, std::vector<Entry> entries,
                  std::int64_t data_bytes) {
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.first_byte, a.bytes) < std::pair(b.first_byte, b.bytes);
  });
  std::int64_t end = 0;
  for (const Entry& entry : entries) {
    const TensorCheck check(file, entry.name);
    check.require(entry.first_byte >= end, "begins at byte ", entry.first_byte,
                  " of the data and overlaps another, which ends at ", end);
    check.require(entry.first_byte == end, "begins at byte ", entry.first_byte,
                  " of the data, and the ", entry.first_byte - end,
                  " bytes before it belong to none");
    end = entry.first_byte + entry.bytes;
  }
  TARN_CHECK_AS(IoError, end == data_bytes, file.string(), ": the last ", data_bytes - end,
                " bytes belong to no tensor");
}

std::string text_of(const json& value) {
  try {
    return value.dump();
  } catch (const json::exception&) {
    fail<IoError>("safetensors: a name or a value of the metadata is not UTF-8");
  }
}

std::string header_of(const NamedTensors& tensors,
                      const std::map<std::string, std::string>& metadata) {
  std::string header = "{";
  if (!metadata.empty()) {
    header += message("\"", kMetadata, "\":", text_of(metadata), ",");
  }
  std::int64_t first = 0;
  for (const auto& [name, tensor] : tensors) {
    std::string sizes = tensor.shape().str();
    std::erase(sizes, ' ');
    header += message(text_of(name), ":{\"dtype\":\"", stored_name(tensor.dtype()),
                      "\",\"shape\":", sizes, ",\"data_offsets\":[", first, ",",
                      first + tensor.bytes(), "]},");
    first += tensor.bytes();
  }
  if (header.back() == ',') header.pop_back();
  header += '}';
  header.resize((header.size() + 7) / 8 * 8, ' ');  // so that the data begins at a multiple of 8
  return header;
}

void check_writable(const std::filesystem::path& file, const NamedTensors& tensors) {
  std::set<std::string_view> names = {kMetadata};
  for (const auto& [name, tensor] : tensors) {
    const std::string which = message(file.string(), ": tensor \"", name, "\" ");
    TARN_CHECK(names.insert(name).second, which, "is given twice, or has a reserved name");
    TARN_CHECK(tensor.defined(), which, "is undefined");
    TARN_CHECK(tensor.is_contiguous(), which, "is not contiguous: ", tensor, " with strides ",
               tensor.strides());
  }
}

}  // namespace

void write_safetensors(const std::filesystem::path& file, const NamedTensors& tensors,
                       const std::map<std::string, std::string>& metadata) {
  check_writable(file, tensors);
  const std::string header = header_of(tensors, metadata);
  const std::uint64_t header_bytes = header.size();
  TARN_CHECK_AS(IoError, header_bytes <= kMaxHeader, file.string(), ": a header of ", header_bytes,
                " bytes is more than the format allows");
  std::vector<std::string_view> parts = {
      {reinterpret_cast<const char*>(&header_bytes), kLengthBytes}, header};
  NamedTensors host;
  host.reserve(tensors.size());
  for (const auto& [name, tensor] : tensors) {
    if (tensor.bytes() == 0) continue;
    const bool here = tensor.device() == Device::cpu();
    const Tensor& bytes =
        host.emplace_back(name, here ? tensor : copy_to(tensor, Device::cpu())).second;
    parts.emplace_back(reinterpret_cast<const char*>(bytes.raw()),
                       static_cast<std::size_t>(bytes.bytes()));
  }
  write_file(file, parts);
}

SafetensorsFile::SafetensorsFile(const std::filesystem::path& file)
    : SafetensorsFile(InputFile(file)) {}

SafetensorsFile::SafetensorsFile(InputFile opened) : file_(std::move(opened)) {
  const std::filesystem::path& file = path();
  check_kind();
  TARN_CHECK_AS(IoError, file_.size() >= kLengthBytes, file.string(),
                ": not a safetensors file: it has only ", file_.size(), " bytes");
  std::uint64_t length = 0;
  file_.read(0, std::as_writable_bytes(std::span(&length, 1)));
  TARN_CHECK_AS(IoError, length <= kMaxHeader, file.string(),
                ": not a safetensors file: its header would have ", length, " bytes");
  data_start_ = kLengthBytes + static_cast<std::int64_t>(length);
  TARN_CHECK_AS(IoError, data_start_ <= file_.size(), file.string(), ": the header ends at byte ",
                data_start_, ", and the file has ", file_.size());
  std::string header(static_cast<std::size_t>(length), '\0');
  file_.read(kLengthBytes, std::as_writable_bytes(std::span(header)));
  parse_header(header, file_.size() - data_start_);
}

// Before the first bytes are taken for a length: no other kind of file has a length there that fits
// the file, and a brace behind it.
void SafetensorsFile::check_kind() const {
  std::string beginning(
      static_cast<std::size_t>(std::min<std::int64_t>(file_.size(), kFileKindBytes)), '\0');
  file_.read(0, std::as_writable_bytes(std::span(beginning)));
  if (beginning.size() > kLengthBytes && beginning[kLengthBytes] == '{') {
    std::uint64_t length = 0;
    std::memcpy(&length, beginning.data(), sizeof length);
    if (length <= kMaxHeader && kLengthBytes + static_cast<std::int64_t>(length) <= file_.size()) {
      return;
    }
  }
  const std::string kind = file_kind(beginning);
  TARN_CHECK_AS(IoError, kind.empty(), path().string(), ": not a safetensors file but ", kind);
}

void SafetensorsFile::parse_header(std::string_view header, std::int64_t data_bytes) {
  const json parsed = parse_json(header, path().string());
  TARN_CHECK_AS(IoError, parsed.is_object(), path().string(), ": the header is no JSON object");
  for (const auto& [name, description] : parsed.items()) {
    if (name != kMetadata) {
      const TensorCheck check(path(), name);
      entries_.push_back(entry_from(name, description, data_bytes, check));
      continue;
    }
    TARN_CHECK_AS(IoError, description.is_object(), path().string(), ": ", kMetadata,
                  " is no JSON object");
    for (const auto& [key, value] : description.items()) {
      TARN_CHECK_AS(IoError, value.is_string(), path().string(), ": \"", key, "\" in ", kMetadata,
                    " is no string");
      metadata_[key] = value.get<std::string>();
    }
  }
  check_layout(path(), entries_, data_bytes);
  std::sort(entries_.begin(), entries_.end(),
            [](const Entry& a, const Entry& b) { return a.name < b.name; });
}

const Entry* SafetensorsFile::find(std::string_view name) const {
  const auto found =
      std::lower_bound(entries_.begin(), entries_.end(), name,
                       [](const Entry& entry, std::string_view n) { return entry.name < n; });
  return found != entries_.end() && found->name == name ? &*found : nullptr;
}

const Entry& SafetensorsFile::entry_of(std::string_view name) const {
  const Entry* entry = find(name);
  TARN_CHECK_AS(IoError, entry != nullptr, path().string(), ": there is no tensor \"", name, "\"");
  return *entry;
}

void SafetensorsFile::read_bytes(const Entry& entry, std::span<std::byte> buffer) const {
  if (!buffer.empty()) file_.read(data_start_ + entry.first_byte, buffer);
}

Tensor SafetensorsFile::read(std::string_view name) const {
  const Entry& entry = entry_of(name);
  TARN_CHECK_AS(IoError, entry.readable, path().string(), ": tensor \"", name, "\" is ",
                entry.str(), ", and tarn has no such element type");
  Tensor tensor = Tensor::empty(entry.shape, entry.dtype, Device::cpu());
  read_bytes(entry, {tensor.raw(), static_cast<std::size_t>(entry.bytes)});
  return tensor;
}

Tensor SafetensorsFile::read_f32(std::string_view name) const {
  const Entry& entry = entry_of(name);
  if (entry.holds(DType::f32)) return read(name);
  TARN_CHECK_AS(IoError, is_stored_float(entry.stored), path().string(), ": tensor \"", name,
                "\" is ", entry.str(), ", which is no floating-point type that tarn reads");
  std::vector<std::byte> bytes(static_cast<std::size_t>(entry.bytes));
  read_bytes(entry, bytes);
  Tensor tensor = Tensor::empty(entry.shape, DType::f32, Device::cpu());
  const std::span<float> floats(tensor.mutable_data<float>(),
                                static_cast<std::size_t>(tensor.elements()));
  TARN_CHECK_AS(IoError, floats_of(entry.stored, bytes, floats), path().string(), ": tensor \"",
                name, "\" is ", entry.str(), " and holds a number that is too large for f32");
  return tensor;
}

std::string SafetensorsFile::Entry::str() const {
  return message(readable ? std::string_view(name_of(dtype)) : stored, " ", shape);
}

}  // namespace tarn
