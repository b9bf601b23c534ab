#include "data/speech/lexicon.h"

#include <algorithm>
#include <utility>

#include "core/check.h"
#include "data/speech/lines.h"

namespace tarn::data {
namespace {

// The word without the "(2)" that CMUdict marks a second pronunciation with.
std::string_view without_variant(std::string_view word) {
  if (!word.ends_with(')')) return word;
  const std::size_t open = word.rfind('(');
  if (open == word.npos || open == 0 || open + 2 == word.size()) return word;
  const std::string_view number = word.substr(open + 1, word.size() - open - 2);
  const bool digits = number.find_first_not_of("0123456789") == number.npos;
  return digits ? word.substr(0, open) : word;
}

std::string_view without_comment(std::string_view phones) {
  for (std::size_t at = phones.find('#'); at != phones.npos; at = phones.find('#', at + 1)) {
    if (at == 0 || phones[at - 1] == ' ' || phones[at - 1] == '\t') return phones.substr(0, at);
  }
  return phones;
}

std::string folded(std::string_view word) {
  std::string out(word);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

std::optional<std::int32_t> find_phone(const PhoneList& phones, std::string_view symbol) {
  const auto exact = phones.find(symbol);
  if (exact || symbol.find_last_of("012") + 1 != symbol.size()) return exact;
  return phones.find(symbol.substr(0, symbol.size() - 1));
}

}  // namespace

Lexicon::Lexicon(const std::filesystem::path& file) : file_(file.string()) {
  const LineFile lines(file);
  for (const auto& line : lines.lines()) {
    if (line.key.starts_with(";;;")) continue;
    std::string_view phones = without_comment(line.rest);
    TARN_CHECK_AS(IoError, phones.find_first_not_of(" \t") != phones.npos, lines.where(line),
                  line.key, " has no phones; a line is a word and its phones");
    const std::string word(without_variant(line.key));
    if (!exact_.emplace(word, Entry{line.number, std::string(phones)}).second) continue;
    folded_.emplace(folded(word), word);
  }
  TARN_CHECK_AS(IoError, !exact_.empty(), file_, " holds no words");
}

const Lexicon::Entry* Lexicon::find(std::string_view word) const {
  auto found = exact_.find(std::string(word));
  if (found != exact_.end()) return &found->second;
  const auto spelling = folded_.find(folded(word));
  return spelling == folded_.end() ? nullptr : &exact_.at(spelling->second);
}

bool Lexicon::pronounce(std::string_view word, const PhoneList& phones,
                        std::vector<std::int32_t>& out) const {
  const Entry* entry = find(word);
  if (entry == nullptr) return false;
  std::string_view left = entry->phones;
  for (std::string_view symbol = take_word(left); !symbol.empty(); symbol = take_word(left)) {
    const auto phone = find_phone(phones, symbol);
    TARN_CHECK_AS(IoError, phone.has_value(), file_, ":", entry->line, ": ", symbol,
                  " is not a phone of ", phones.file());
    out.push_back(*phone);
  }
  return true;
}

}  // namespace tarn::data
