#include "train/run/event_file.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <vector>

#include "core/check.h"

namespace tarn::train {
namespace {

namespace fs = std::filesystem;

// events.out.tfevents.1700000000.tarn; TensorBoard looks for the part in the middle, and reads
// files in the order of their names.
constexpr std::string_view kFilePrefix = "events.out.tfevents.";
constexpr std::string_view kFileSuffix = ".tarn";

constexpr std::array<std::uint32_t, 256> make_crc_table() {
  constexpr std::uint32_t kPolynomial = 0x82f63b78;  // Castagnoli's, its lowest power first
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t byte = 0; byte < table.size(); ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
    table[byte] = crc;
  }
  return table;
}

template <class Unsigned>
std::string little_endian(Unsigned value) {
  std::string bytes;
  for (std::size_t i = 0; i < sizeof value; ++i) {
    bytes += static_cast<char>(value & 0xff);
    value >>= 8;
  }
  return bytes;
}

// A record: the length and its checksum, the bytes and their checksum.
std::string record(std::string_view bytes) {
  const std::string length = little_endian<std::uint64_t>(bytes.size());
  return message(length, little_endian(masked_crc32c_of(length)), bytes,
                 little_endian(masked_crc32c_of(bytes)));
}

// Fields of a protocol buffer: a number with the kind of its value, and the value.
enum class Wire : std::uint8_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

std::string varint(std::uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>((value & 0x7f) | 0x80);
  return bytes + static_cast<char>(value);
}

std::string tag(std::uint64_t field, Wire wire) {
  return varint(field << 3 | static_cast<std::uint64_t>(wire));
}

std::string field_bytes(std::uint64_t field, std::string_view bytes) {
  return message(tag(field, Wire::bytes), varint(bytes.size()), bytes);
}

// The fields of Event: 1 wall_time, 2 step, and one of 3 file_version, 5 summary and 7 session_log,
// which is `rest`.
std::string event(double time, std::int64_t step, std::string_view rest) {
  return record(message(tag(1, Wire::fixed64), little_endian(std::bit_cast<std::uint64_t>(time)),
                        tag(2, Wire::varint), varint(static_cast<std::uint64_t>(step)), rest));
}

// Summary: 1 value; Summary.Value: 1 tag, 2 simple_value.
std::string scalar(std::string_view name, double value) {
  const auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(value));
  return field_bytes(1, message(field_bytes(1, name), tag(2, Wire::fixed32), little_endian(bits)));
}

std::string tag_of(const LogLine& line, const std::string& name) {
  if (line.evaluation) return "evaluation/" + name;
  return name == "lr" ? name : "train/" + name;
}

std::string event_of(const LogLine& line, double time) {
  std::string values;
  for (const auto& [name, value] : line.values) values += scalar(tag_of(line, name), value);
  for (const auto& [name, value] : line.timing) values += scalar("timing/" + name, value);
  return event(time, line.step, field_bytes(5, values));
}

// The version, and a start of a session (SessionLog: 1 status, of which 1 is START), at which
// TensorBoard forgets what it has read of the run before.
std::string start_of_file(double time) {
  return message(event(time, 0, field_bytes(3, "brain.Event:2")),
                 event(time, 0, field_bytes(7, message(tag(1, Wire::varint), varint(1)))));
}

// The folder's files with names that name_at() gives, by the seconds in those.
std::vector<std::pair<std::int64_t, fs::path>> event_files(const fs::path& folder) {
  std::vector<std::pair<std::int64_t, fs::path>> found;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kFilePrefix) || !name.ends_with(kFileSuffix)) continue;
    const std::string_view digits = std::string_view(name).substr(
        kFilePrefix.size(), name.size() - kFilePrefix.size() - kFileSuffix.size());
    std::int64_t seconds = 0;
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), seconds);
    if (error == std::errc() && end == digits.data() + digits.size()) {
      found.emplace_back(seconds, entry.path());
    }
  }
  return found;
}

fs::path file_at(const fs::path& folder, std::int64_t seconds) {
  return folder / message(kFilePrefix, seconds, kFileSuffix);
}

}  // namespace

std::uint32_t crc32c_of(std::string_view bytes) {
  static constexpr std::array<std::uint32_t, 256> kTable = make_crc_table();
  std::uint32_t crc = ~std::uint32_t{0};
  for (const char byte : bytes) {
    crc = kTable[(crc ^ static_cast<unsigned char>(byte)) & 0xff] ^ (crc >> 8);
  }
  return ~crc;
}

std::uint32_t masked_crc32c_of(std::string_view bytes) {
  return std::rotr(crc32c_of(bytes), 15) + 0xa282ead8;
}

std::string event_file_text(std::span<const LogLine> log) {
  const auto known = std::find_if(log.begin(), log.end(),
                                  [](const LogLine& line) { return line.time.has_value(); });
  double time = known == log.end() ? unix_time() : *known->time;
  std::string text = start_of_file(time);
  for (const LogLine& line : log) {
    time = line.time.value_or(time);
    text += event_of(line, time);
  }
  return text;
}

void export_events(const fs::path& folder, std::span<const LogLine> log) {
  TARN_CHECK_AS(IoError, !fs::is_directory(folder) || fs::is_empty(folder), folder.string(),
                " is not empty; choose another folder, or remove it");
  make_directories(folder);
  write_file_atomically(file_at(folder, static_cast<std::int64_t>(unix_time())),
                        event_file_text(log));
}

EventFile::EventFile(const fs::path& folder, std::span<const LogLine> log) {
  make_directories(folder);
  auto seconds = static_cast<std::int64_t>(unix_time());
  for (const auto& [last, file] : event_files(folder)) {
    seconds = std::max(seconds, last + 1);
    remove_file(file);
  }
  file_ = std::make_unique<AppendFile>(file_at(folder, seconds), 0);
  file_->append(event_file_text(log));
}

void EventFile::append(const LogLine& line) {
  file_->append(event_of(line, line.time.value_or(unix_time())));
}

}  // namespace tarn::train
