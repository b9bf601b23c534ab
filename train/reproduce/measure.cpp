#include "train/reproduce/measure.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/check.h"
#include "train/run/run_log.h"

namespace tarn::train::reproduce {
namespace {

using nlohmann::json;

std::string text_of(const json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

// JSON has no NaN and no infinity: a metric that is one is null.
bool is_finite(const json& entry, const std::string& field) {
  const auto found = entry.find(field);
  return found == entry.end() || !found->is_null();
}

double number(const json& entry, const std::string& field) {
  const auto found = entry.find(field);
  TARN_CHECK_AS(ConfigError, found != entry.end() && found->is_number(),
                "the result has no number \"", field, "\": ", entry.dump().substr(0, 300));
  return found->get<double>();
}

bool matches(const json& entry, const Source& source, const Substitutes& words) {
  return std::all_of(source.where.begin(), source.where.end(), [&](const auto& expected) {
    const auto found = entry.find(expected.first);
    return found != entry.end() && text_of(*found) == expand(expected.second, words);
  });
}

void add(Curve& curve, const Point& point, const Source& source) {
  const auto same = std::find_if(curve.begin(), curve.end(),
                                 [&](const Point& one) { return one.first == point.first; });
  if (same == curve.end()) {
    curve.push_back(point);
  } else if (source.combine == "sum") {
    same->second += point.second;
  } else if (source.combine == "min") {
    same->second = std::min(same->second, point.second);
  } else if (source.combine == "max") {
    same->second = std::max(same->second, point.second);
  } else {
    throw ConfigError(message("several entries of the result have the same ",
                              source.x.empty() ? "value" : source.x, "; combine them"));
  }
}

}  // namespace

std::string expand(const std::string& text, const Substitutes& words) {
  std::string expanded;
  std::size_t at = 0;
  for (std::size_t open = 0; (open = text.find('{', at)) != text.npos;) {
    const std::size_t close = text.find('}', open);
    const auto word =
        close == text.npos ? words.end() : words.find(text.substr(open + 1, close - open - 1));
    TARN_CHECK_AS(ConfigError, word != words.end(), "\"", text,
                  "\": ", text.substr(open, close - open + 1), " stands for nothing here");
    expanded += text.substr(at, open - at) + word->second;
    at = close + 1;
  }
  return expanded + text.substr(at);
}

std::vector<std::string> expand(const std::vector<std::string>& texts, const Substitutes& words) {
  std::vector<std::string> expanded;
  expanded.reserve(texts.size());
  for (const std::string& text : texts) expanded.push_back(expand(text, words));
  return expanded;
}

bool uses(const std::vector<std::string>& texts, const std::string& word) {
  return std::any_of(texts.begin(), texts.end(), [&](const std::string& text) {
    return text.find("{" + word + "}") != text.npos;
  });
}

Curve points_of(const json& value, const Source& source, const Substitutes& words) {
  const auto rows = value.find("rows");
  const json entries = rows != value.end() ? *rows : json::array({value});
  Curve curve;
  for (const json& entry : entries) {
    if (!matches(entry, source, words) || !is_finite(entry, source.value)) continue;
    double y = source.factor * number(entry, source.value);
    if (!source.per.empty()) y /= number(entry, source.per);
    add(curve, {source.x.empty() ? 0 : number(entry, source.x), y}, source);
  }
  std::sort(curve.begin(), curve.end());
  return curve;
}

Curve evaluations(const std::filesystem::path& run, const Source& source) {
  Curve curve;
  for (const LogLine& line : read_log(RunFolder(run))) {
    if (!line.evaluation) continue;
    const std::optional<double> value = value_named(line.values, source.log);
    TARN_CHECK_AS(ConfigError, value.has_value(), "the evaluations of ", run.string(),
                  " have no \"", source.log, "\"");
    if (std::isfinite(*value)) curve.emplace_back(line.step, source.factor * *value);
  }
  return curve;
}

double one_value(const Curve& curve, const Source& source) {
  const auto less = [](const Point& a, const Point& b) { return a.second < b.second; };
  if (source.combine == "min") return std::min_element(curve.begin(), curve.end(), less)->second;
  if (source.combine == "max") return std::max_element(curve.begin(), curve.end(), less)->second;
  return curve.back().second;
}

Measured mean_of(const std::vector<double>& values) {
  const auto count = static_cast<double>(values.size());
  double sum = 0, squares = 0;
  for (const double value : values) sum += value;
  for (const double value : values) squares += (value - sum / count) * (value - sum / count);
  return {sum / count, count > 1 ? std::sqrt(squares / (count - 1)) : 0,
          static_cast<std::int64_t>(values.size())};
}

Curve mean_of(const std::vector<Curve>& curves) {
  Curve mean;
  for (const Point& point : curves[0]) {
    double sum = 0;
    std::size_t count = 0;
    for (const Curve& curve : curves) {
      const auto same = std::find_if(curve.begin(), curve.end(),
                                     [&](const Point& one) { return one.first == point.first; });
      if (same == curve.end()) continue;
      sum += same->second;
      ++count;
    }
    if (count == curves.size()) mean.emplace_back(point.first, sum / static_cast<double>(count));
  }
  return mean;
}

}  // namespace tarn::train::reproduce
