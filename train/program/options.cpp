#include "train/program/options.h"

#include <charconv>
#include <utility>

#include "core/check.h"
#include "core/names.h"

namespace tarn::train {
namespace {

// "3" for 3, "0.5" for 0.5, and nothing for what is empty.
std::string shown(const std::string& value) { return value; }
std::string shown(const std::filesystem::path& value) { return value.string(); }
std::string shown(double value) { return message(value); }
std::string shown(std::int64_t value) { return std::to_string(value); }
template <class T>
std::string shown(const std::vector<T>& values) {
  std::vector<std::string> all;
  all.reserve(values.size());
  for (const T& value : values) all.push_back(shown(value));
  return joined(all, ",");
}

template <class Number>
bool read_number(const std::string& text, Number& value) {
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  return error == std::errc() && stop == end;
}

[[noreturn]] void refuse(const std::string& name, const std::string& given,
                         const std::string& what) {
  fail<ConfigError>(name, " is \"", given, "\": expected ", what);
}

std::int64_t read_whole(const std::string& name, const std::string& given, std::int64_t low,
                        std::int64_t high) {
  std::int64_t value = 0;
  if (!read_number(given, value) || value < low || value > high) {
    refuse(name, given, message("a whole number from ", low, " to ", high));
  }
  return value;
}

std::vector<std::string> split_at_commas(const std::string& text) {
  std::vector<std::string> parts;
  for (std::size_t first = 0; first <= text.size();) {
    const std::size_t comma = std::min(text.find(',', first), text.size());
    parts.push_back(text.substr(first, comma - first));
    first = comma + 1;
  }
  return parts;
}

std::string read_choice(const std::string& name, const std::string& given,
                        const std::vector<std::string>& choices) {
  for (const std::string& choice : choices) {
    if (given == choice) return given;
  }
  if (choices.empty() && !given.empty()) return given;
  refuse(name, given, choices.empty() ? "a name" : message("one of ", joined(choices)));
}

}  // namespace

Option flag(std::string name, bool& target, std::string help) {
  return {.name = std::move(name),
          .value = {},
          .help = std::move(help),
          .set = [&target](const std::string&) { target = true; }};
}

Option text(std::string name, std::string value, std::string& target, std::string help) {
  return {.name = std::move(name),
          .value = std::move(value),
          .help = std::move(help),
          .default_text = target,
          .set = [&target](const std::string& given) { target = given; }};
}

Option choice(std::string name, std::string& target, std::vector<std::string> choices,
              std::string help) {
  auto set = [&target, name, choices](const std::string& given) {
    target = read_choice(name, given, choices);
  };
  return {.name = std::move(name),
          .value = "NAME",
          .help = std::move(help),
          .default_text = target,
          .choices = std::move(choices),
          .set = std::move(set)};
}

Option path(std::string name, std::string value, std::filesystem::path& target, std::string help) {
  auto set = [&target, name](const std::string& given) {
    if (given.empty()) refuse(name, given, "a path");
    target = given;
  };
  return {.name = std::move(name),
          .value = std::move(value),
          .help = std::move(help),
          .default_text = shown(target),
          .set = std::move(set)};
}

Option number(std::string name, std::int64_t& target, std::int64_t low, std::int64_t high,
              std::string help) {
  auto set = [&target, name, low, high](const std::string& given) {
    target = read_whole(name, given, low, high);
  };
  // A default outside of the range stands for a choice that the help explains.
  const bool shows = target >= low && target <= high;
  return {.name = std::move(name),
          .value = "N",
          .help = std::move(help),
          .default_text = shows ? shown(target) : "",
          .set = std::move(set)};
}

Option number(std::string name, std::uint64_t& target, std::string help) {
  auto set = [&target, name](const std::string& given) {
    if (!read_number(given, target)) {
      refuse(name, given,
             message("a whole number from 0 to ", std::numeric_limits<std::uint64_t>::max()));
    }
  };
  return {.name = std::move(name),
          .value = "N",
          .help = std::move(help),
          .default_text = std::to_string(target),
          .set = std::move(set)};
}

Option number(std::string name, double& target, double low, std::string help) {
  auto set = [&target, name, low](const std::string& given) {
    const bool is_number = read_number(given, target);
    if (!is_number || !(target >= low && target <= std::numeric_limits<float>::max())) {
      refuse(name, given, message("a number of at least ", low));
    }
  };
  return {.name = std::move(name),
          .value = "X",
          .help = std::move(help),
          .default_text = shown(target),
          .set = std::move(set)};
}

Option numbers(std::string name, std::vector<std::int64_t>& target, std::int64_t low,
               std::int64_t high, std::string help) {
  auto set = [&target, name, low, high](const std::string& given) {
    target.clear();
    for (const std::string& part : split_at_commas(given)) {
      target.push_back(read_whole(name, part, low, high));
    }
  };
  return {.name = std::move(name),
          .value = "N,...",
          .help = std::move(help),
          .default_text = shown(target),
          .set = std::move(set)};
}

Option texts(std::string name, std::vector<std::string>& target, std::vector<std::string> choices,
             std::string help) {
  auto set = [&target, name, choices](const std::string& given) {
    target.clear();
    for (const std::string& part : split_at_commas(given)) {
      target.push_back(read_choice(name, part, choices));
    }
  };
  return {.name = std::move(name),
          .value = "NAME,...",
          .help = std::move(help),
          .default_text = shown(target),
          .choices = std::move(choices),
          .set = std::move(set)};
}

Option repeated(std::string name, std::string value, std::vector<std::string>& target,
                std::string help) {
  return {.name = std::move(name),
          .value = std::move(value),
          .help = std::move(help),
          .repeatable = true,
          .set = [&target](const std::string& given) { target.push_back(given); }};
}

Option overrides(std::vector<std::string>& set) {
  return repeated("--set", "KEY=VALUE", set, "override a key of the config: section.key=value");
}

Option operand(std::string name, std::filesystem::path& target, std::string help) {
  Option option = path(std::move(name), {}, target, std::move(help));
  option.required = true;
  return option;
}

Option operands(std::string name, std::vector<std::filesystem::path>& target, std::string help) {
  return {.name = std::move(name),
          .value = {},
          .help = std::move(help),
          .required = true,
          .repeatable = true,
          .set = [&target](const std::string& given) { target.emplace_back(given); }};
}

std::string described(const Option& option) {
  std::string line = option.help;
  if (!option.choices.empty()) line += message("; one of ", joined(option.choices));
  if (!option.default_text.empty()) line += message(" (default: ", option.default_text, ")");
  if (option.repeatable) line += "; may be repeated";
  if (option.required && option.name.starts_with("--")) line += "; required";
  return line;
}

}  // namespace tarn::train
