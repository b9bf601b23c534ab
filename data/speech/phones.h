// The symbols that a model of speech predicts.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tarn::data {

// A list of symbols, one a line, with or without their number behind them (Kaldi's phones.txt).
// Symbol 0 is the blank of CTC, whatever it is called; no transcript may hold it.
class PhoneList {
 public:
  // Throws IoError that names the file and the line: a symbol twice, a number out of order, fewer
  // than two symbols.
  explicit PhoneList(const std::filesystem::path& file);

  // The symbols in the order of their numbers; `source` is what messages call the list. IoError as
  // above.
  PhoneList(const std::vector<std::string>& names, std::string source);

  const std::vector<std::string>& names() const { return names_; }
  const std::string& file() const { return file_; }
  std::int64_t size() const { return static_cast<std::int64_t>(names_.size()); }  // with the blank
  const std::string& name(std::int32_t phone) const {
    return names_.at(static_cast<std::size_t>(phone));
  }
  std::optional<std::int32_t> find(std::string_view name) const;  // never the blank

 private:
  void add(std::string name, const std::string& where);
  void check_size() const;

  std::string file_;
  std::vector<std::string> names_;
  std::map<std::string, std::int32_t, std::less<>> numbers_;
};

}  // namespace tarn::data
