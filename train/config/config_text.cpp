// Values, types and limits as text, and the writing of a whole config.
#include <charconv>
#include <cmath>
#include <cstddef>

#include "core/check.h"
#include "train/config/config_keys.h"

namespace tarn::train {
namespace {

// The shortest text that reads back as the same double.
std::string shortest(double value) {
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  return std::string(buffer, end);
}

std::string value_text(const std::string* value) { return toml_string(*value); }
std::string value_text(const bool* value) { return *value ? "true" : "false"; }
std::string value_text(const std::int64_t* value) { return std::to_string(*value); }
std::string value_text(const std::uint64_t* value) { return std::to_string(*value); }

std::string value_text(const double* value) {
  std::string text = shortest(*value);
  const bool looks_integer = text.find_first_not_of("-0123456789") == std::string::npos;
  return looks_integer ? text + ".0" : text;
}

std::string value_text(const std::vector<std::int64_t>* values) {
  std::string text = "[";
  for (std::size_t i = 0; i < values->size(); ++i) {
    if (i > 0) text += ", ";
    text += std::to_string((*values)[i]);
  }
  return text + "]";
}

std::string_view type_text(const std::string*) { return "a string"; }
std::string_view type_text(const bool*) { return "a boolean"; }
std::string_view type_text(const std::int64_t*) { return "an integer"; }
std::string_view type_text(const std::uint64_t*) { return "a non-negative integer"; }
std::string_view type_text(const double*) { return "a number"; }
std::string_view type_text(const std::vector<std::int64_t>*) { return "a list of integers"; }

}  // namespace

std::string toml_string(std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    const auto code = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (code < 0x20 || code == 0x7f) {
      out += "\\u00";
      out += kHex[code / 16];
      out += kHex[code % 16];
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string value_text(Field field) {
  return std::visit([](const auto* value) { return value_text(value); }, field);
}

std::string_view type_text(Field field) {
  return std::visit([](const auto* value) { return type_text(value); }, field);
}

std::string limits_text(const Key& key) {
  Config defaults;
  const Field field = key.field(defaults);
  const Limits& limits = key.limits;
  if (!limits.choices.empty()) {
    const bool several = limits.choices.find(", ") != std::string_view::npos;
    return message(several ? "one of " : "", limits.choices);
  }
  if (std::holds_alternative<std::string*>(field)) {
    return limits.may_be_empty ? "any" : "non-empty";
  }
  if (std::holds_alternative<bool*>(field)) return "true or false";
  if (std::holds_alternative<std::uint64_t*>(field)) {  // TOML's integers have a sign
    return "below 2^63";
  }
  if (std::isfinite(limits.high)) {
    return message("in ", limits.open_low ? "(" : "[", shortest(limits.low), ", ",
                   shortest(limits.high), limits.open_high ? ")" : "]");
  }
  return message(limits.open_low ? "above " : "at least ", shortest(limits.low));
}

std::string to_toml(const Config& config) {
  Config copy = config;  // a key's field is reached through a Config that may be written
  std::string text;
  for (const Section& section : sections()) {
    if (!text.empty()) text += "\n";
    text += message("[", section.name, "]\n");
    for (const Key& key : keys()) {
      if (key.section == section.name) {
        text += message(key.name, " = ", value_text(key.field(copy)), "\n");
      }
    }
  }
  return text;
}

}  // namespace tarn::train
