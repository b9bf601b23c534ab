#include "train/run/run_list.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/check.h"
#include "core/io/json.h"
#include "train/run/run_folder.h"
#include "train/run/status_line.h"
#include "train/run/text_table.h"
#include "train/tasks/task.h"

namespace tarn::train {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr const char* kUnknown = "-";

using Row = std::vector<std::string>;

Row list_row(const RunSummary& run) {
  Row row{name_of(run), std::string(text_of(run.state))};
  if (run.state == RunState::broken) {
    row.push_back(run.problem);
  } else {
    row.insert(row.end(), {run.config ? run.config->task.kind : kUnknown, step_text(run),
                           best_text(run), speed_text(run), size_text(run.bytes)});
  }
  return row;
}

template <class Value>
ordered_json or_null(const std::optional<Value>& value) {
  return value ? ordered_json(*value) : ordered_json(nullptr);
}

std::vector<Config> configs_of(const std::vector<RunSummary>& runs) {
  std::vector<Config> configs;
  for (const RunSummary& run : runs) {
    TARN_CHECK_AS(IoError, run.state != RunState::broken, run.folder.string(),
                  " cannot be compared: ", run.problem);
    TARN_CHECK_AS(IoError, run.config.has_value(), run.folder.string(),
                  " cannot be compared yet: it is just beginning");
    configs.push_back(*run.config);
  }
  return configs;
}

template <class Text>
Row result_row(const char* name, const std::vector<RunSummary>& runs, const Text& text) {
  Row row{name};
  for (const RunSummary& run : runs) row.push_back(text(run));
  return row;
}

}  // namespace

std::vector<fs::path> runs_in(const fs::path& folder) {
  TARN_CHECK_AS(IoError, fs::is_directory(folder), folder.string(),
                fs::exists(folder) ? " is a file, and no folder of runs" : " is not there");
  if (RunFolder(folder).holds_run()) return {folder};
  std::vector<fs::path> runs;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (RunFolder(entry.path()).holds_run()) runs.push_back(entry.path());
  }
  std::sort(runs.begin(), runs.end());
  return runs;
}

std::string name_of(const RunSummary& run) {
  const fs::path whole = fs::weakly_canonical(run.folder);  // "." and "runs/x/" have names too
  return (whole.has_filename() ? whole : whole.parent_path()).filename().string();
}

std::string step_text(const RunSummary& run) {
  return run.config ? message(run.step, " of ", run.config->train.steps) : kUnknown;
}

std::string best_text(const RunSummary& run) {
  if (!run.config || !run.best) return kUnknown;
  return message(best_metric(run.config->task.kind), " ", *run.best, " at step ", run.best_step);
}

std::string speed_text(const RunSummary& run) {
  return run.tokens_per_second ? number_text("%.0f tokens/s", *run.tokens_per_second) : kUnknown;
}

std::string list_text(const std::vector<RunSummary>& runs) {
  std::vector<Row> rows{{"run", "state", "task", "step", "best", "speed", "size"}};
  for (const RunSummary& run : runs) rows.push_back(list_row(run));
  return text_table(rows);
}

ordered_json summary_json(const RunSummary& run) {
  ordered_json line{{"run", name_of(run)},
                    {"folder", run.folder.string()},
                    {"state", text_of(run.state)},
                    {"bytes", run.bytes}};
  if (run.state == RunState::broken) line["problem"] = run.problem;
  if (!run.config) return line;
  line["task"] = run.config->task.kind;
  line["step"] = run.step;
  line["steps"] = run.config->train.steps;
  line["metric"] = best_metric(run.config->task.kind);
  line["best"] = or_null(run.best);
  line["best_step"] = or_null(run.best ? std::optional(run.best_step) : std::nullopt);
  line["tokens_per_s"] = or_null(run.tokens_per_second);
  line["steps_per_s"] = or_null(run.steps_per_second);
  return line;
}

ordered_json json_of_toml(const std::string& value) { return ordered_json::parse(value); }

std::string list_json(const std::vector<RunSummary>& runs) {
  std::string text;
  for (const RunSummary& run : runs) text += json_line(summary_json(run));
  return text;
}

std::string comparison_text(const std::vector<RunSummary>& runs) {
  std::vector<Row> rows;
  rows.push_back(result_row("", runs, [](const RunSummary& run) { return run.folder.string(); }));
  for (const KeyValues& key : differing_keys(configs_of(runs))) {
    Row& row = rows.emplace_back(Row{key.key});
    row.insert(row.end(), key.values.begin(), key.values.end());
  }
  rows.push_back(result_row("state", runs,
                            [](const RunSummary& run) { return std::string(text_of(run.state)); }));
  rows.push_back(result_row("step", runs, step_text));
  rows.push_back(result_row("best", runs, best_text));
  rows.push_back(result_row("speed", runs, speed_text));
  rows.push_back(
      result_row("size", runs, [](const RunSummary& run) { return size_text(run.bytes); }));
  return text_table(rows);
}

std::string comparison_json(const std::vector<RunSummary>& runs) {
  ordered_json config = ordered_json::object();
  for (const KeyValues& key : differing_keys(configs_of(runs))) {
    for (const std::string& value : key.values) config[key.key].push_back(json_of_toml(value));
  }
  ordered_json results = ordered_json::array();
  for (const RunSummary& run : runs) results.push_back(summary_json(run));
  return json_line({{"runs", results}, {"config", config}});
}

}  // namespace tarn::train
