// Text files whose lines begin with a key, as all of Kaldi's do.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace tarn::data {

// Takes the first word off the text, which spaces and tabs end; empty at the end of the text.
std::string_view take_word(std::string_view& text);

// A file in memory, cut into lines. Lines of nothing but spaces are left out, and so are spaces at
// the end of others (a carriage return is one).
class LineFile {
 public:
  struct Line {
    std::int64_t number = 0;  // from 1
    std::string_view key;     // the first word
    std::string_view rest;    // from the second word on; may be empty
  };

  explicit LineFile(const std::filesystem::path& file);
  LineFile(const LineFile&) = delete;  // lines point into the content
  LineFile& operator=(const LineFile&) = delete;

  const std::string& name() const { return name_; }
  const std::vector<Line>& lines() const { return lines_; }
  // "train/text:17: ", which messages begin with.
  std::string where(const Line& line) const;

 private:
  std::string name_;
  std::string content_;
  std::vector<Line> lines_;
};

}  // namespace tarn::data
