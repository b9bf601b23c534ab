// How words are pronounced: CMUdict's format and Kaldi's.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "data/speech/phones.h"

namespace tarn::data {

// A word a line, then its phones. Of several pronunciations the first is used: later lines of a
// word, or CMUdict's WORD(2). "# ..." behind the phones and lines that begin with ";;;" are
// comments.
class Lexicon {
 public:
  // Throws IoError that names the file and the line.
  explicit Lexicon(const std::filesystem::path& file);

  const std::string& file() const { return file_; }

  // Appends the word's phones, and returns false if the word is not there. Letters may be of either
  // case where no word has exactly this spelling. A phone's stress digit is dropped unless the list
  // has the phone with it. Throws IoError, with the lexicon's line, for a phone that is not listed.
  bool pronounce(std::string_view word, const PhoneList& phones,
                 std::vector<std::int32_t>& out) const;

 private:
  struct Entry {
    std::int64_t line = 0;
    std::string phones;  // as in the file
  };
  const Entry* find(std::string_view word) const;

  std::string file_;
  std::unordered_map<std::string, Entry> exact_;
  std::unordered_map<std::string, std::string> folded_;  // lower case to a spelling in exact_
};

}  // namespace tarn::data
