#include "data/speech/phones.h"

#include "core/check.h"
#include "data/speech/lines.h"

namespace tarn::data {

PhoneList::PhoneList(const std::filesystem::path& file) : file_(file.string()) {
  const LineFile lines(file);
  for (const auto& line : lines.lines()) {
    TARN_CHECK_AS(IoError, line.rest.empty() || line.rest == std::to_string(size()),
                  lines.where(line), line.key, " has the number ", line.rest, ", and ", size(),
                  " comes next; a line is a symbol, or a symbol and its number, from 0");
    const auto [known, is_new] =
        numbers_.emplace(std::string(line.key), static_cast<std::int32_t>(size()));
    TARN_CHECK_AS(IoError, is_new, lines.where(line), line.key, " is a second time in the list");
    names_.emplace_back(line.key);
  }
  TARN_CHECK_AS(IoError, size() >= 2, file_, " has ", size(),
                " symbols; a list of phones is the blank and a phone at least");
}

std::optional<std::int32_t> PhoneList::find(std::string_view name) const {
  const auto found = numbers_.find(name);
  if (found == numbers_.end() || found->second == 0) return std::nullopt;
  return found->second;
}

}  // namespace tarn::data
