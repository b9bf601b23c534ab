#include "train/run/run_csv.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <vector>

#include "core/check.h"

namespace tarn::train {
namespace {

constexpr const char* kTime = "time";

// All digits, as the log itself has them.
std::string cell(double value) {
  constexpr double kWhole = 1LL << 53;
  if (std::isnan(value)) return "nan";
  if (value == std::floor(value) && std::abs(value) < kWhole) {
    return std::to_string(static_cast<std::int64_t>(value));
  }
  return nlohmann::json(value).dump();
}

// Quoted where it would otherwise be several cells.
std::string heading(const std::string& name) {
  if (name.find_first_of(",\"\r\n") == std::string::npos) return name;
  std::string quoted = "\"";
  for (const char c : name) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

void add_names(std::vector<std::string>& names, const LogValues& values) {
  for (const auto& [name, value] : values) {
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
}

void add_cells(std::string& row, const std::vector<std::string>& names, const LogValues& values) {
  for (const std::string& name : names) {
    const auto value = value_named(values, name);
    row += message(",", value ? cell(*value) : "");
  }
}

}  // namespace

std::string log_csv(std::span<const LogLine> log) {
  std::vector<std::string> metrics, timing;
  for (const LogLine& line : log) {
    add_names(metrics, line.values);
    add_names(timing, line.timing);
  }
  std::string text = "step,kind";
  for (const std::string& name : metrics) text += message(",", heading(name));
  text += message(",", kTime);
  for (const std::string& name : timing) text += message(",", heading(name));
  text += "\n";
  for (const LogLine& line : log) {
    std::string row = message(line.step, line.evaluation ? ",evaluation" : ",training");
    add_cells(row, metrics, line.values);
    row += message(",", line.time ? cell(*line.time) : "");
    add_cells(row, timing, line.timing);
    text += row + "\n";
  }
  return text;
}

}  // namespace tarn::train
