#include "train/run/run_log.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "core/check.h"
#include "core/io/file.h"
#include "core/io/json.h"

namespace tarn::train {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

struct TextLine {
  std::string_view text;
  std::string source;  // "runs/x/metrics.jsonl:12"
};

std::vector<TextLine> whole_lines(std::string_view text, const fs::path& file) {
  std::vector<TextLine> lines;
  for (std::size_t first = 0, end = 0; (end = text.find('\n', first)) != text.npos;
       first = end + 1) {
    lines.push_back(
        {text.substr(first, end - first), message(file.string(), ":", lines.size() + 1)});
  }
  return lines;
}

std::string text_of(const fs::path& file) { return fs::exists(file) ? read_file(file) : ""; }

ordered_json object_in(std::string_view text, const std::string& source) {
  ordered_json object = parse_ordered_json(text, source);
  const bool has_step =
      object.is_object() && object.contains("step") && object["step"].is_number_integer();
  TARN_CHECK_AS(IoError, has_step, source, ": not a line of a run's log: it has no step");
  return object;
}

void add_values(LogValues& values, const ordered_json& object, const std::string& source) {
  for (const auto& [name, value] : object.items()) {
    if (name == "step") continue;
    // JSON has no NaN; an evaluation that is none is written as null.
    TARN_CHECK_AS(IoError, value.is_number() || value.is_null(), source, ": ", name,
                  " is not a number");
    values.emplace_back(
        name, value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>());
  }
}

template <class Parse>
std::optional<LogLine> last_line(const fs::path& file, const Parse& parse) {
  const std::string text = text_of(file);
  const std::size_t end = text.rfind('\n');
  if (end == text.npos) return std::nullopt;
  const std::size_t before = end == 0 ? text.npos : text.rfind('\n', end - 1);
  const std::size_t first = before == text.npos ? 0 : before + 1;
  const auto begin = text.begin(), line = begin + static_cast<std::ptrdiff_t>(first);
  return parse(TextLine{std::string_view(text).substr(first, end - first),
                        message(file.string(), ":", std::count(begin, line, '\n') + 1)});
}

void add_timing(LogLine& line, const ordered_json& object, const std::string& source) {
  LogValues values;
  add_values(values, object, source);
  for (auto& [name, value] : values) {
    if (name == "time") {
      line.time = value;
    } else {
      line.timing.emplace_back(std::move(name), value);
    }
  }
}

LogLine timing_line(const TextLine& line) {
  const ordered_json object = object_in(line.text, line.source);
  LogLine parsed;
  parsed.step = object["step"];
  add_timing(parsed, object, line.source);
  return parsed;
}

}  // namespace

double unix_time() {
  using std::chrono::milliseconds;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<double>(std::chrono::duration_cast<milliseconds>(now).count()) / 1e3;
}

LogLine parse_metrics_line(std::string_view text, const std::string& source) {
  const ordered_json object = object_in(text, source);
  const auto evaluation = object.find("evaluation");
  LogLine line;
  line.step = object["step"];
  line.evaluation = evaluation != object.end();
  TARN_CHECK_AS(IoError, !line.evaluation || evaluation->is_object(), source,
                ": evaluation holds no metrics");
  add_values(line.values, line.evaluation ? *evaluation : object, source);
  return line;
}

void add_timing_line(LogLine& line, std::string_view text, const std::string& source) {
  add_timing(line, object_in(text, source), source);
}

std::vector<LogLine> read_log(const RunFolder& run) {
  const std::string timing_text = text_of(run.timing());
  std::map<std::int64_t, LogLine> timing;
  for (const TextLine& line : whole_lines(timing_text, run.timing())) {
    LogLine parsed = timing_line(line);
    timing[parsed.step] = std::move(parsed);
  }
  const std::string metrics_text = text_of(run.metrics());
  std::vector<LogLine> lines;
  for (const TextLine& line : whole_lines(metrics_text, run.metrics())) {
    LogLine parsed = parse_metrics_line(line.text, line.source);
    const auto same = timing.find(parsed.step);
    if (!parsed.evaluation && same != timing.end()) {
      parsed.timing = same->second.timing;
      parsed.time = same->second.time;
    }
    lines.push_back(std::move(parsed));
  }
  return lines;
}

std::optional<LogLine> last_metrics_line(const RunFolder& run) {
  return last_line(run.metrics(),
                   [](const TextLine& line) { return parse_metrics_line(line.text, line.source); });
}

std::optional<LogLine> last_timing_line(const RunFolder& run) {
  return last_line(run.timing(), timing_line);
}

std::optional<double> value_named(const LogValues& values, std::string_view name) {
  const auto found = std::find_if(values.begin(), values.end(),
                                  [&](const auto& value) { return value.first == name; });
  return found == values.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace tarn::train
