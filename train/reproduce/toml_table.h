// Reading a TOML file whose tables have known keys.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/check.h"
#include "core/names.h"
#include "train/config/toml.h"

namespace tarn::train::reproduce {

// A table of a file. Each key is asked for with its type, and what nobody asked for is unknown.
// Every error is a ConfigError that names the file, the line and the key.
class TomlTable {
 public:
  TomlTable(const toml::table& table, std::string name, const std::string& file)
      : table_(table), name_(std::move(name)), file_(file) {}

  std::string text(const char* key) { return required<std::string>(key, "a string"); }
  std::string text_or(const char* key, std::string other) {
    return optional<std::string>(key, "a string", std::move(other));
  }
  bool flag(const char* key) { return optional<bool>(key, "true or false", false); }
  int integer_or(const char* key, int other) {
    return static_cast<int>(optional<std::int64_t>(key, "an integer", other));
  }

  double number_or(const char* key, double other) {
    return optional<double>(key, "a number", other);
  }

  std::vector<std::string> texts(const char* key) {
    const toml::node* node = find(key);
    return node == nullptr ? std::vector<std::string>{} : texts_of(*node, key);
  }

  std::vector<std::vector<std::string>> lists_of_texts(const char* key) {
    std::vector<std::vector<std::string>> lists;
    for (const toml::node* node : list(key)) lists.push_back(texts_of(*node, key));
    return lists;
  }

  template <class T>
  std::map<std::string, T> values(const char* key, const char* what) {
    std::map<std::string, T> found;
    const toml::node* node = find(key);
    if (node == nullptr) return found;
    if (!node->is_table()) fail(*node, key, "a table");
    for (const auto& [name, value] : *node->as_table()) {
      found[std::string(name.str())] = value_of<T>(value, message(key, ".", name.str()), what);
    }
    return found;
  }

  // The tables under a key, with what they are called in messages: "rows[2]", "training.cpu".
  std::vector<TomlTable> tables(const char* key) {
    std::vector<TomlTable> found;
    for (const toml::node* node : list(key)) {
      if (!node->is_table()) fail(*node, key, "a list of tables, [[" + std::string(key) + "]]");
      found.emplace_back(*node->as_table(), message(name_, key, "[", found.size() + 1, "]."),
                         file_);
    }
    return found;
  }
  std::vector<std::pair<std::string, TomlTable>> named_tables(const char* key) {
    std::vector<std::pair<std::string, TomlTable>> found;
    const toml::node* node = find(key);
    if (node == nullptr) return found;
    if (!node->is_table()) fail(*node, key, "a table");
    for (const auto& [name, value] : *node->as_table()) {
      if (!value.is_table()) fail(value, message(key, ".", name.str()), "a table");
      found.emplace_back(
          std::string(name.str()),
          TomlTable(*value.as_table(), message(name_, key, ".", name.str(), "."), file_));
    }
    return found;
  }

  // After everything known was asked for.
  void finish() const {
    for (const auto& [key, value] : table_) {
      if (asked_.contains(std::string(key.str()))) continue;
      const std::vector<std::string> known(asked_.begin(), asked_.end());
      throw ConfigError(message(at(key.source().begin.line), "unknown key ", name_, key.str(),
                                "; there are ", joined(known)));
    }
  }

  // An error about a key that is there, or about the table.
  [[noreturn]] void fail(const char* key, const std::string& text) const {
    const toml::node* node = table_.get(key);
    const auto line = (node == nullptr ? table_.source() : node->source()).begin.line;
    throw ConfigError(message(at(line), name_, key, ": ", text));
  }

 private:
  template <class T>
  T value_of(const toml::node& node, const std::string& key, const char* what) const {
    const std::optional<T> value = node.value<T>();
    if (!value) fail(node, key, what);
    return *value;
  }

  template <class T>
  T required(const char* key, const char* what) {
    const toml::node* node = find(key);
    if (node == nullptr) fail(key, message("is missing; it must be ", what));
    return value_of<T>(*node, key, what);
  }

  template <class T>
  T optional(const char* key, const char* what, T other) {
    const toml::node* node = find(key);
    return node == nullptr ? other : value_of<T>(*node, key, what);
  }

  const toml::node* find(const char* key) {
    asked_.insert(key);
    return table_.get(key);
  }

  std::vector<const toml::node*> list(const char* key) {
    std::vector<const toml::node*> found;
    const toml::node* node = find(key);
    if (node == nullptr) return found;
    if (!node->is_array()) fail(*node, key, "a list");
    for (const toml::node& entry : *node->as_array()) found.push_back(&entry);
    return found;
  }

  std::vector<std::string> texts_of(const toml::node& node, const char* key) const {
    if (!node.is_array()) fail(node, key, "a list of strings");
    std::vector<std::string> texts;
    for (const toml::node& entry : *node.as_array()) {
      texts.push_back(value_of<std::string>(entry, key, "a list of strings"));
    }
    return texts;
  }

  [[noreturn]] void fail(const toml::node& node, const std::string& key,
                         const std::string& expected) const {
    throw ConfigError(message(at(node.source().begin.line), name_, key, " must be ", expected));
  }

  std::string at(toml::source_index line) const { return message(file_, ":", line, ": "); }

  const toml::table& table_;
  std::string name_;
  std::string file_;
  std::set<std::string> asked_;
};

}  // namespace tarn::train::reproduce
