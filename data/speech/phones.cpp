#include "data/speech/phones.h"

#include <utility>

#include "core/check.h"
#include "data/speech/lines.h"
#include "data/text.h"

namespace tarn::data {

PhoneList::PhoneList(const std::filesystem::path& file) : file_(file.string()) {
  const LineFile lines(file);
  for (const auto& line : lines.lines()) {
    TARN_CHECK_AS(IoError, line.rest.empty() || line.rest == std::to_string(size()),
                  lines.where(line), line.key, " has the number ", line.rest, ", and ", size(),
                  " comes next; a line is a symbol, or a symbol and its number, from 0");
    add(std::string(line.key), lines.where(line));
  }
  check_size();
}

PhoneList::PhoneList(const std::vector<std::string>& names, std::string source)
    : file_(std::move(source)) {
  for (const std::string& name : names) add(name, file_ + ": ");
  check_size();
}

void PhoneList::add(std::string name, const std::string& where) {
  TARN_CHECK_AS(IoError, is_utf8(name), where, "a symbol is not in UTF-8; save the list as UTF-8");
  const bool is_new = numbers_.emplace(name, static_cast<std::int32_t>(size())).second;
  TARN_CHECK_AS(IoError, is_new, where, name, " is a second time in the list");
  names_.push_back(std::move(name));
}

void PhoneList::check_size() const {
  TARN_CHECK_AS(IoError, size() >= 2, file_, " has ", size(),
                " symbols; a list of phones is the blank and a phone at least");
}

std::optional<std::int32_t> PhoneList::find(std::string_view name) const {
  const auto found = numbers_.find(name);
  if (found == numbers_.end() || found->second == 0) return std::nullopt;
  return found->second;
}

}  // namespace tarn::data
