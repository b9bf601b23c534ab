// Results as JSON. Each record's fields are listed once, for both directions.
#include "train/reproduce/results.h"

#include <limits>
#include <nlohmann/json.hpp>
#include <tuple>
#include <type_traits>
#include <utility>

#include "core/check.h"
#include "core/io/json.h"

namespace tarn::train::reproduce {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

template <class Record, class T>
struct Field {
  const char* name;
  T Record::*member;
};
template <class Record, class T>
Field(const char*, T Record::*) -> Field<Record, T>;

constexpr auto fields(const Measured*) {
  return std::tuple{Field{"mean", &Measured::mean}, Field{"deviation", &Measured::deviation},
                    Field{"count", &Measured::count}};
}

constexpr auto fields(const RowResult*) {
  return std::tuple{Field{"name", &RowResult::name},
                    Field{"title", &RowResult::title},
                    Field{"config", &RowResult::config},
                    Field{"set", &RowResult::set},
                    Field{"config_hash", &RowResult::config_hash},
                    Field{"seconds", &RowResult::seconds},
                    Field{"missing", &RowResult::missing},
                    Field{"values", &RowResult::values},
                    Field{"curves", &RowResult::curves}};
}

constexpr auto fields(const ColumnResult*) {
  return std::tuple{Field{"name", &ColumnResult::name}, Field{"title", &ColumnResult::title},
                    Field{"digits", &ColumnResult::digits}, Field{"paper", &ColumnResult::paper}};
}

constexpr auto fields(const ChartResult*) {
  return std::tuple{
      Field{"name", &ChartResult::name},       Field{"title", &ChartResult::title},
      Field{"x_title", &ChartResult::x_title}, Field{"y_title", &ChartResult::y_title},
      Field{"x_log", &ChartResult::x_log},     Field{"y_log", &ChartResult::y_log}};
}

constexpr auto fields(const ClaimResult*) {
  return std::tuple{
      Field{"text", &ClaimResult::text},       Field{"place", &ClaimResult::place},
      Field{"check", &ClaimResult::check},     Field{"verdict", &ClaimResult::verdict},
      Field{"numbers", &ClaimResult::numbers}, Field{"missing", &ClaimResult::missing}};
}

constexpr auto fields(const PictureResult*) {
  return std::tuple{Field{"title", &PictureResult::title},
                    Field{"caption", &PictureResult::caption}, Field{"file", &PictureResult::file},
                    Field{"missing", &PictureResult::missing}};
}

constexpr auto fields(const ExperimentResult*) {
  return std::tuple{
      Field{"name", &ExperimentResult::name},        Field{"title", &ExperimentResult::title},
      Field{"place", &ExperimentResult::place},      Field{"about", &ExperimentResult::about},
      Field{"missing", &ExperimentResult::missing},  Field{"seconds", &ExperimentResult::seconds},
      Field{"rows", &ExperimentResult::rows},        Field{"columns", &ExperimentResult::columns},
      Field{"charts", &ExperimentResult::charts},    Field{"claims", &ExperimentResult::claims},
      Field{"pictures", &ExperimentResult::pictures}};
}

constexpr auto fields(const Machine*) {
  return std::tuple{
      Field{"processor", &Machine::processor}, Field{"instruction_set", &Machine::instruction_set},
      Field{"blas", &Machine::blas},           Field{"device", &Machine::device},
      Field{"version", &Machine::version},     Field{"commit", &Machine::commit},
      Field{"threads", &Machine::threads}};
}

constexpr auto fields(const Results*) {
  return std::tuple{Field{"scale", &Results::scale}, Field{"machine", &Results::machine},
                    Field{"experiments", &Results::experiments}};
}

template <class T>
concept Record = requires(const T* value) {
  fields(value);
};
template <class T>
concept Number = std::is_arithmetic_v<T>;
template <class T>
concept Text = std::is_same_v<T, std::string> || std::is_same_v<T, std::filesystem::path>;

// ---- writing ----

ordered_json json_of(const Text auto& text) { return std::string(text); }
ordered_json json_of(Verdict verdict) { return text_of(verdict); }

// JSON has no text for a number that is not finite: all of them are null, and read as NaN.
ordered_json json_of(Number auto number) { return number; }

template <class First, class Second>
ordered_json json_of(const std::pair<First, Second>& pair) {
  return ordered_json::array({json_of(pair.first), json_of(pair.second)});
}

template <class T>
ordered_json json_of(const std::vector<T>& list);
template <class T>
ordered_json json_of(const std::map<std::string, T>& map);

ordered_json json_of(const Record auto& record) {
  ordered_json object = ordered_json::object();
  std::apply([&](auto... field) { ((object[field.name] = json_of(record.*field.member)), ...); },
             fields(&record));
  return object;
}

template <class T>
ordered_json json_of(const std::vector<T>& list) {
  ordered_json array = ordered_json::array();
  for (const T& item : list) array.push_back(json_of(item));
  return array;
}

template <class T>
ordered_json json_of(const std::map<std::string, T>& map) {
  ordered_json object = ordered_json::object();
  for (const auto& [name, value] : map) object[name] = json_of(value);
  return object;
}

// ---- reading ----

// A value and where it stands: "report/results.json: experiments[2].title".
struct Place {
  const json& value;
  const std::string& file;
  std::string path = "";  // empty: the whole

  template <class... Parts>
  void check(bool right, const Parts&... wrong) const {
    TARN_CHECK_AS(ConfigError, right, file, ": ", path.empty() ? "the content" : path, wrong...);
  }
  void expect(bool right, const char* expected) const {
    check(right, " is ", value.type_name(), ", not ", expected);
  }
  Place item(std::size_t i) const { return {value[i], file, message(path, "[", i, "]")}; }
  Place at(const std::string& key) const {
    check(value.contains(key), " lacks ", key);
    return {value[key], file, path.empty() ? key : path + "." + key};
  }
};

void read(const Place& source, Text auto& text) {
  source.expect(source.value.is_string(), "a string");
  text = source.value.get<std::string>();
}

void read(const Place& source, bool& flag) {
  source.expect(source.value.is_boolean(), "a boolean");
  flag = source.value.get<bool>();
}

template <Number T>
void read(const Place& source, T& number) {
  if constexpr (std::is_integral_v<T>) {
    source.expect(source.value.is_number_integer(), "an integer");
    const auto wide = source.value.get<std::int64_t>();
    source.check(std::in_range<T>(wide), " is out of range: ", wide);
    number = static_cast<T>(wide);
  } else {
    source.expect(source.value.is_number() || source.value.is_null(), "a number");
    number = source.value.is_null() ? std::numeric_limits<T>::quiet_NaN() : source.value.get<T>();
  }
}

void read(const Place& source, Verdict& verdict) {
  std::string text;
  read(source, text);
  for (const Verdict one : kVerdicts) {
    if (text == text_of(one)) {
      verdict = one;
      return;
    }
  }
  source.check(false, " is \"", text, "\", which is no verdict");
}

template <class First, class Second>
void read(const Place& source, std::pair<First, Second>& pair) {
  source.expect(source.value.is_array() && source.value.size() == 2, "an array of two");
  read(source.item(0), pair.first);
  read(source.item(1), pair.second);
}

template <class T>
void read(const Place& source, std::vector<T>& list);
template <class T>
void read(const Place& source, std::map<std::string, T>& map);

void read(const Place& source, Record auto& record) {
  source.expect(source.value.is_object(), "an object");
  std::apply(
      [&](auto... field) {
        (read(source.at(field.name), record.*field.member), ...);
        for (const auto& item : source.value.items()) {
          source.check(((item.key() == field.name) || ...), " has no field \"", item.key(), "\"");
        }
      },
      fields(&record));
}

template <class T>
void read(const Place& source, std::vector<T>& list) {
  source.expect(source.value.is_array(), "an array");
  list.resize(source.value.size());
  for (std::size_t i = 0; i < list.size(); ++i) read(source.item(i), list[i]);
}

template <class T>
void read(const Place& source, std::map<std::string, T>& map) {
  source.expect(source.value.is_object(), "an object");
  for (const auto& item : source.value.items()) read(source.at(item.key()), map[item.key()]);
}

}  // namespace

std::string text_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::holds:
      return "holds";
    case Verdict::does_not_hold:
      return "does not hold";
    case Verdict::not_at_this_scale:
      return "not tested at this scale";
    case Verdict::not_tested:
      return "not tested";
  }
  return "";
}

std::string to_json(const Results& results) {
  return json_of(results).dump(1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

Results results_from_json(const std::string& text, const std::string& source_name) {
  Results results;
  try {
    const json document = parse_json(text, source_name);
    read({document, source_name}, results);
  } catch (const IoError& error) {  // not JSON at all
    throw ConfigError(error.what());
  }
  return results;
}

}  // namespace tarn::train::reproduce
