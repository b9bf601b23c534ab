// Reading a config.
#include "train/config/config.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <utility>

#include "core/check.h"
#include "core/io/file.h"
#include "train/config/config_keys.h"
#include "train/config/toml.h"

namespace tarn::train {
namespace {

// Each returns false, leaving out as it was, if the node is of another type.
bool read(const toml::node& node, std::string* out) {
  const auto* value = node.as_string();
  if (value != nullptr) *out = value->get();
  return value != nullptr;
}

bool read(const toml::node& node, bool* out) {
  const auto* value = node.as_boolean();
  if (value != nullptr) *out = value->get();
  return value != nullptr;
}

bool read(const toml::node& node, std::int64_t* out) {
  const auto* value = node.as_integer();
  if (value != nullptr) *out = value->get();
  return value != nullptr;
}

bool read(const toml::node& node, std::uint64_t* out) {
  const auto* value = node.as_integer();
  if (value == nullptr || value->get() < 0) return false;
  *out = static_cast<std::uint64_t>(value->get());
  return true;
}

bool read(const toml::node& node, double* out) {
  if (const auto* value = node.as_floating_point()) {
    *out = value->get();
    return true;
  }
  const auto* value = node.as_integer();
  if (value != nullptr) *out = static_cast<double>(value->get());
  return value != nullptr;
}

bool read(const toml::node& node, std::vector<std::int64_t>* out) {
  const auto* list = node.as_array();
  if (list == nullptr) return false;
  std::vector<std::int64_t> values(list->size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!read((*list)[i], &values[i])) return false;
  }
  *out = std::move(values);
  return true;
}

// What a value of the wrong type is: "the string "abc"".
std::string found_text(const toml::node& node) {
  if (const auto* value = node.as_string())
    return message("the string ", toml_string(value->get()));
  if (const auto* value = node.as_integer()) return message("the integer ", value->get());
  if (const auto* value = node.as_boolean()) return value->get() ? "true" : "false";
  if (const auto* value = node.as_floating_point()) {
    double number = value->get();
    return message("the number ", value_text(Field(&number)));
  }
  if (const auto* list = node.as_array()) {
    for (const toml::node& entry : *list) {
      if (!entry.is_integer()) return message("a list that holds ", found_text(entry));
    }
    return "a list";
  }
  return node.is_table() ? "a table" : "a date or time";
}

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// toml++ recurses once for each dot of a key, so that a text of nothing but dots would overflow the
// stack.
void check_depth(std::string_view text, const std::string& origin) {
  constexpr std::ptrdiff_t kMaxDots = 2000;
  TARN_CHECK_AS(ConfigError, std::count(text.begin(), text.end(), '.') <= kMaxDots, origin,
                ": has more than ", kMaxDots, " dots");
}

// One line of a file that sets a key, or a section that is none.
struct Entry {
  std::string_view section;
  std::optional<std::string_view> key;  // none: the section itself is wrong
  const toml::node* value;
  toml::source_position place;
};

// The entries in the order of the file, so that the first mistake is reported first: toml++ sorts a
// table by name.
std::vector<Entry> entries_by_line(const toml::table& table) {
  std::vector<Entry> entries;
  for (const auto& [section, node] : table) {
    if (!is_section(section.str()) || !node.is_table()) {
      entries.push_back({section.str(), std::nullopt, &node, section.source().begin});
      continue;
    }
    for (const auto& [key, value] : *node.as_table()) {
      entries.push_back({section.str(), key.str(), &value, key.source().begin});
    }
  }
  std::stable_sort(entries.begin(), entries.end(),
                   [](const Entry& a, const Entry& b) { return a.place < b.place; });
  return entries;
}

std::string section_error(const Entry& entry) {
  const std::string_view name = entry.section;
  if (is_section(name)) {
    return message(name, " must be a section, [", name, "], got ", found_text(*entry.value));
  }
  return entry.value->is_table() ? unknown_section_text(name) : unknown_key_text(name);
}

const Key& key_named(std::string_view name, const std::string& origin) {
  const Key* key = find_key(name);
  if (key == nullptr) throw ConfigError(message(origin, ": ", unknown_key_text(name)));
  return *key;
}

// Where a key was set, and by which override; the file is 0.
struct Origin {
  std::string text;
  int override = 0;
};

// Gathers a config from a file's text and from overrides, and remembers where each key was set.
class Reader {
 public:
  explicit Reader(std::string source_name) : source_name_(std::move(source_name)) {}

  void read_text(std::string_view text);
  void read_override(std::string_view text);
  Config finish() const;

 private:
  void set(const Key& key, const toml::node& value, const Origin& origin);
  std::string at_line(toml::source_index line) const { return message(source_name_, ":", line); }

  Config config_;
  std::string source_name_;
  int overrides_ = 0;
  std::map<std::string, Origin> origins_;
};

void Reader::read_text(std::string_view text) {
  check_depth(text, source_name_);
  const toml::parse_result parsed = toml::parse(text);
  if (!parsed) {
    const toml::parse_error& error = parsed.error();
    fail<ConfigError>(at_line(error.source().begin.line), ": ", error.description());
  }
  for (const Entry& entry : entries_by_line(parsed.table())) {
    const std::string origin = at_line(entry.place.line);
    if (!entry.key) fail<ConfigError>(origin, ": ", section_error(entry));
    const std::string name = message(entry.section, ".", *entry.key);
    set(key_named(name, origin), *entry.value, {origin, 0});
  }
}

void Reader::read_override(std::string_view text) {
  check_depth(text, "--set");
  const std::string origin = message("--set ", text);
  const auto equals = text.find('=');
  TARN_CHECK_AS(ConfigError, equals != text.npos, origin, ": must have the form section.key=value");
  const std::string_view name = trimmed(text.substr(0, equals));
  const std::string_view value = trimmed(text.substr(equals + 1));
  const Key& key = key_named(name, origin);

  // Text that sets another key besides "value" is not a value.
  toml::parse_result parsed = toml::parse(message("value = ", value));
  const toml::node* node =
      parsed && parsed.table().size() == 1 ? parsed.table().get("value") : nullptr;
  // A shell removes quotes, so the value of a string key is taken as it stands.
  const bool wants_string = std::holds_alternative<std::string*>(key.field(config_));
  if (wants_string && (node == nullptr || !node->is_string())) {
    parsed = toml::parse(message("value = ", toml_string(value)));
    node = parsed ? parsed.table().get("value") : nullptr;  // not if it is not UTF-8
  }
  if (node == nullptr) {
    throw ConfigError(message(origin, ": ", name, " must be ", type_text(key.field(config_)),
                              ", got the text ", toml_string(value)));
  }
  set(key, *node, {origin, ++overrides_});
}

void Reader::set(const Key& key, const toml::node& value, const Origin& origin) {
  const Field field = key.field(config_);
  const bool fits = std::visit([&](auto* out) { return read(value, out); }, field);
  TARN_CHECK_AS(ConfigError, fits, origin.text, ": ", key.full_name(), " must be ",
                type_text(field), ", got ", found_text(value));
  origins_[key.full_name()] = origin;
}

Config Reader::finish() const {
  const auto found = first_problem(config_);
  if (!found) return config_;
  // Of the keys at fault, the latest override is named, or the first that the file sets.
  Origin origin{source_name_, -1};
  for (const std::string& key : found->keys) {
    const auto set = origins_.find(key);
    if (set != origins_.end() && set->second.override > origin.override) origin = set->second;
  }
  fail<ConfigError>(origin.text, ": ", found->text);
}

}  // namespace

Config load_config(const std::filesystem::path& file, const std::vector<std::string>& overrides) {
  return parse_config(read_file(file), file.string(), overrides);
}

Config parse_config(std::string_view text, const std::string& source_name,
                    const std::vector<std::string>& overrides) {
  Reader reader(source_name);
  reader.read_text(text);
  for (const std::string& override : overrides) reader.read_override(override);
  return reader.finish();
}

}  // namespace tarn::train
