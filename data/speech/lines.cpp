#include "data/speech/lines.h"

#include <algorithm>

#include "core/check.h"
#include "core/io/file.h"
#include "data/text.h"

namespace tarn::data {
namespace {

constexpr std::string_view kSpaces = " \t\r\v\f";

std::string_view without_spaces(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kSpaces);
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(kSpaces) - first + 1);
}

}  // namespace

std::string_view take_word(std::string_view& text) {
  const std::string_view trimmed = without_spaces(text);
  const std::size_t end = std::min(trimmed.find_first_of(kSpaces), trimmed.size());
  text = without_spaces(trimmed.substr(end));
  return trimmed.substr(0, end);
}

LineFile::LineFile(const std::filesystem::path& file)
    : name_(file.string()), content_(read_file(file)) {
  std::string_view left = without_byte_order_mark(content_, name_);
  for (std::int64_t number = 1; !left.empty(); ++number) {
    const std::size_t end = std::min(left.find('\n'), left.size());
    std::string_view rest = left.substr(0, end);
    left.remove_prefix(std::min(end + 1, left.size()));
    const std::string_view key = take_word(rest);
    if (!key.empty()) lines_.push_back({number, key, rest});
  }
}

std::string LineFile::where(const Line& line) const {
  return message(name_, ":", line.number, ": ");
}

}  // namespace tarn::data
