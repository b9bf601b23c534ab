#include "train/run/run_info.h"

#include <array>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/check.h"
#include "core/io/json.h"
#include "train/run/checkpoint_folder.h"
#include "train/run/run_list.h"
#include "train/run/run_log.h"
#include "train/run/sparkline.h"
#include "train/run/status_line.h"
#include "train/run/text_table.h"
#include "train/tasks/task.h"

namespace tarn::train {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr std::size_t kCurveWidth = 50;

using Row = std::vector<std::string>;

struct CheckpointRow {
  std::int64_t step = 0;
  fs::path folder;
  bool latest = false, best = false;
  std::optional<LogValues> evaluation;  // after its step, if there was one
};

struct RunInfo {
  RunSummary summary;
  std::vector<LogLine> evaluations;
  std::vector<CheckpointRow> checkpoints;
  Checkpoint latest;
};

std::vector<CheckpointRow> checkpoints_of(const CheckpointFolder& folder,
                                          const std::vector<LogLine>& evaluations) {
  const auto latest = folder.latest(), best = folder.best();
  std::vector<CheckpointRow> rows;
  for (const auto& [step, path] : folder.all()) {
    CheckpointRow& row = rows.emplace_back();
    row.step = step;
    row.folder = path;
    row.latest = latest == path;
    row.best = best == path;
    for (const LogLine& line : evaluations) {
      if (line.step == step) row.evaluation = line.values;
    }
  }
  return rows;
}

RunInfo read_run(const fs::path& folder) {
  const RunFolder run(folder);
  RunSummary summary = summarise_run(folder);
  TARN_CHECK_AS(IoError, summary.state != RunState::broken, summary.problem);
  TARN_CHECK_AS(IoError, summary.config.has_value(), folder.string(), " is just beginning");
  std::vector<LogLine> evaluations = read_log(run);
  std::erase_if(evaluations, [](const LogLine& line) { return !line.evaluation; });
  RunInfo info{std::move(summary),
               std::move(evaluations),
               {},
               open_checkpoint(folder, Prefer::latest, Checkpoint::Use::all)};
  info.checkpoints = checkpoints_of(run.checkpoints(), info.evaluations);
  return info;
}

// "loss  first 4.1  █▆▄▃▂▁  last 0.9  best 0.88 at step 40".
std::string curve_text(const RunInfo& info) {
  const std::string_view metric = best_metric(info.summary.config->task.kind);
  std::vector<double> values;
  std::int64_t lowest_step = 0;
  double lowest = std::numeric_limits<double>::infinity();
  for (const LogLine& line : info.evaluations) {
    const auto value = value_named(line.values, metric);
    if (!value) continue;
    values.push_back(*value);
    if (*value <= lowest) {
      lowest = *value;
      lowest_step = line.step;
    }
  }
  if (values.empty()) return "  none yet\n";
  std::string text = message("  ", metric, "  first ", values.front(), "  ",
                             sparkline(values, kCurveWidth), "  last ", values.back());
  if (lowest_step > 0) text += message("  best ", lowest, " at step ", lowest_step);
  return text + "\n";
}

Row checkpoint_row(const CheckpointRow& checkpoint, std::string_view metric) {
  Row row{message("  step ", checkpoint.step)};
  const auto value =
      checkpoint.evaluation ? value_named(*checkpoint.evaluation, metric) : std::nullopt;
  row.push_back(value ? message(metric, " ", *value) : "-");
  row.push_back(checkpoint.latest && checkpoint.best ? "latest, best"
                : checkpoint.latest                  ? "latest"
                : checkpoint.best                    ? "best"
                                                     : "");
  return row;
}

std::string config_text(const Config& config) {
  std::vector<Row> rows;
  for (const KeyValues& key : differing_keys(std::array{Config(), config})) {
    rows.push_back(
        {message("  ", key.key), key.values[1], message("(default: ", key.values[0], ")")});
  }
  return rows.empty() ? "  nothing\n" : text_table(rows);
}

ordered_json values_json(const LogValues& values) {
  ordered_json object = ordered_json::object();
  for (const auto& [name, value] : values) object[name] = value;
  return object;
}

}  // namespace

std::string run_info_text(const fs::path& run) {
  const RunInfo info = read_run(run);
  const RunSummary& summary = info.summary;
  std::string text = message("run ", run.string(), "\n");
  text += text_table({{"  state", std::string(text_of(summary.state))},
                      {"  task", summary.config->task.kind},
                      {"  step", step_text(summary)},
                      {"  best", best_text(summary)},
                      {"  speed", speed_text(summary)},
                      {"  size", size_text(summary.bytes)}});
  text += message("config, where it is not the default\n", config_text(*summary.config));
  text += message("evaluations: ", info.evaluations.size(), "\n", curve_text(info));
  std::vector<Row> rows;
  for (const CheckpointRow& checkpoint : info.checkpoints) {
    rows.push_back(checkpoint_row(checkpoint, best_metric(summary.config->task.kind)));
  }
  return text + message("checkpoints: ", rows.size(), "\n", text_table(rows)) +
         info.latest.summary();
}

std::string run_info_json(const fs::path& run) {
  const RunInfo info = read_run(run);
  ordered_json json = summary_json(info.summary);
  for (const KeyValues& key : all_keys(std::array{*info.summary.config})) {
    json["config"][key.key] = json_of_toml(key.values[0]);
  }
  json["evaluations"] = ordered_json::array();
  for (const LogLine& line : info.evaluations) {
    ordered_json evaluation{{"step", line.step}};
    evaluation.update(values_json(line.values));
    json["evaluations"].push_back(evaluation);
  }
  json["checkpoints"] = ordered_json::array();
  for (const CheckpointRow& row : info.checkpoints) {
    json["checkpoints"].push_back(
        {{"step", row.step},
         {"folder", row.folder.string()},
         {"latest", row.latest},
         {"best", row.best},
         {"evaluation", row.evaluation ? values_json(*row.evaluation) : ordered_json(nullptr)}});
  }
  json["latest"] = info.latest.summary_json();
  return json_line(json);
}

}  // namespace tarn::train
