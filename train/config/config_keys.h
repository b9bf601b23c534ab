// Inside the config system: the one table of keys that parsing, checking, writing and documenting
// share. Only train/config*.cpp include this.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "train/config/config.h"

namespace tarn::train {

// Where a key's value lives in a Config. A new type of value is an alternative here, and an
// overload each of value_text and type_text (config_text.cpp), problem_of (config_check.cpp), read
// (config.cpp).
using Field = std::variant<std::string*, bool*, std::int64_t*, std::uint64_t*, double*,
                           std::vector<std::int64_t>*>;

// What a value may be: a number between two bounds (a list's every entry), a string one of the
// choices, which are separated by ", ". Strings without choices must only be non-empty, if they may
// not be empty.
struct Limits {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  bool open_low = false;
  bool open_high = false;
  std::string_view choices = {};
  bool may_be_empty = false;

  bool holds(double value) const;
  bool holds(std::string_view value) const;
};

struct Key {
  std::string_view section;
  std::string_view name;
  Field (*field)(Config&);
  Limits limits;
  std::string_view meaning;

  std::string full_name() const;
};

struct Section {
  std::string_view name;
  std::string_view meaning;
};

std::span<const Key> keys();
std::span<const Section> sections();
const Key* find_key(std::string_view full_name);  // null if there is none
bool is_section(std::string_view name);

// "optimizer.lrr is not a known key; did you mean optimizer.lr?", or, where nothing is near, the
// keys or sections there are.
std::string unknown_key_text(std::string_view full_name);
std::string unknown_section_text(std::string_view name);

std::string toml_string(std::string_view text);  // with quotes and escapes
std::string value_text(Field field);             // as TOML
std::string_view type_text(Field field);         // "an integer"
std::string limits_text(const Key& key);         // "in [0, 1)"; reads after "must be"

// What is wrong with a config, and the keys at fault; the first is the one to look at first.
struct ConfigProblem {
  std::vector<std::string> keys;
  std::string text;
};
std::optional<ConfigProblem> first_problem(const Config& config);

}  // namespace tarn::train
