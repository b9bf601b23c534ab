#include "train/reproduce/row_runs.h"

#include "core/check.h"
#include "core/names.h"
#include "train/config/config.h"

namespace tarn::train::reproduce {
namespace {

namespace fs = std::filesystem;

Substitutes words_of_all(const Options& options, const Experiment& experiment) {
  Substitutes words{{"data", options.data.string()},
                    {"device", options.device},
                    {"out", options.out.string()},
                    {"dir", "{dir}"},
                    {"json", "{json}"}};
  const auto of_scale = experiment.words.find(options.scale);
  if (of_scale != experiment.words.end()) {
    words.insert(of_scale->second.begin(), of_scale->second.end());
  }
  return words;
}

// Checks that each {word} of a command is known, and that its program exists.
void check(const Options& options, const Words& command, const Substitutes& words) {
  if (command.empty()) return;
  expand(command, words);
  const fs::path program = options.experiments.parent_path() / command[0];
  TARN_CHECK_AS(ConfigError, command[0] == "tarn" || fs::exists(program), "the command \"",
                joined(command, " "), "\": there is no ", program.string(),
                "; a command is tarn, or a file of the source");
}

void check(const Options& options, const Source& source, const Row& row, const Substitutes& words) {
  if (!includes(source.rows, row.name) || !includes(source.scales, options.scale)) return;
  check(options, source.command, words);
  for (const auto& [field, expected] : source.where) expand(expected, words);
}

std::string config_of(const Experiment& experiment, const Training& training) {
  return (experiment.folder / training.config).lexically_normal().string();
}

}  // namespace

const Experiment& experiment_named(const std::vector<Experiment>& all, const std::string& name) {
  std::vector<std::string> names;
  for (const Experiment& experiment : all) {
    if (experiment.name == name) return experiment;
    names.push_back(experiment.name);
  }
  throw ConfigError(message("there is no experiment \"", name, "\"; there are ", joined(names)));
}

const Row& row_named(const Experiment& experiment, const std::string& name) {
  for (const Row& row : experiment.rows) {
    if (row.name == name) return row;
  }
  throw ConfigError(message("experiment ", experiment.name, " has no row \"", name, "\""));
}

namespace {

// The row, with a training of its own, that another is the same as.
std::pair<const Experiment*, const Row*> row_same_as(const std::vector<Experiment>& all,
                                                     const Row& row) {
  const std::size_t slash = row.same_as.find('/');
  TARN_CHECK_AS(ConfigError, slash != row.same_as.npos, "same_as = \"", row.same_as,
                "\" must be EXPERIMENT/ROW");
  const Experiment& other = experiment_named(all, row.same_as.substr(0, slash));
  const Row& same = row_named(other, row.same_as.substr(slash + 1));
  TARN_CHECK_AS(ConfigError, same.same_as.empty(), "same_as = \"", row.same_as,
                "\": that row is itself the same as ", same.same_as, "; name that one");
  return {&other, &same};
}

}  // namespace

void check_experiment(const Options& options, const std::vector<Experiment>& all,
                      const Experiment& experiment) {
  Substitutes words = words_of_all(options, experiment);
  for (const Experiment& other : all) {  // made later; any name of a folder does here
    for (const Preparation& made : other.preparations) {
      words["made." + other.name + "." + made.name] = "made";
    }
  }
  for (const Row& row : experiment.rows) {
    Substitutes of_row = words;
    of_row.insert(row.words.begin(), row.words.end());
    of_row["row"] = row.name;
    if (!row.same_as.empty()) row_same_as(all, row);
    const auto training = row.training.find(options.scale);
    if (training != row.training.end()) {
      load_config(config_of(experiment, training->second), expand(training->second.set, of_row));
    }
    of_row["run"] = of_row["config"] = "made";
    for (const Column& column : experiment.columns) check(options, column.source, row, of_row);
    for (const Chart& chart : experiment.charts) check(options, chart.source, row, of_row);
    for (const Picture& picture : experiment.pictures) {
      if (picture.row != row.name || !includes(picture.scales, options.scale)) continue;
      for (const Words& command : picture.commands) check(options, command, of_row);
    }
  }
  for (const Preparation& made : experiment.preparations) {
    if (includes(made.scales, options.scale)) check(options, made.command, words);
  }
}

std::string RowRuns::missing_data(const Experiment& experiment, const Training& training) const {
  if (training.data.empty()) return "";
  const fs::path folder = options_.data / training.data;
  if (fs::is_directory(folder)) return "";
  const auto where = experiment.data.find(training.data);
  return message(folder.string(), " is missing",
                 where == experiment.data.end() ? "" : ": " + where->second);
}

Substitutes RowRuns::words_of(const Experiment& experiment) const {
  Substitutes words = words_of_all(options_, experiment);
  for (const auto& [name, folder] : preparations_) words["made." + name] = folder;
  return words;
}

Substitutes RowRuns::words_of(const Experiment& experiment, const Row& row) const {
  Substitutes words = words_of(experiment);
  words.insert(row.words.begin(), row.words.end());
  words["row"] = row.name;
  return words;
}

RowRuns::Runs RowRuns::train(const Experiment& experiment, const Row& row) {
  Runs runs;
  if (!row.same_as.empty()) {
    const auto [other, same] = row_same_as(all_, row);
    return of(*other, *same);
  }
  const auto training = row.training.find(options_.scale);
  if (training == row.training.end()) {
    if (!row.training.empty()) runs.missing = "not run at this scale";
    return runs;
  }
  runs.config = config_of(experiment, training->second);
  runs.missing = missing_data(experiment, training->second);
  runs.data_missing = !runs.missing.empty();
  if (runs.data_missing) return runs;
  const Substitutes words = words_of(experiment, row);
  runs.set = training->second.set;
  if (options_.device != "cpu") runs.set.push_back("run.device=" + options_.device);
  const Words keys = expand(runs.set, words);
  const std::uint64_t first = load_config(runs.config, keys).run.seed;
  for (std::int64_t seed = 0; seed < options_.seeds; ++seed) {
    Words set = keys;
    std::string name = experiment.name + "-" + row.name;
    if (seed > 0) {
      set.push_back(message("run.seed=", first + static_cast<std::uint64_t>(seed)));
      name += message("-seed", first + static_cast<std::uint64_t>(seed));
    }
    runs.seeds.push_back(parts_.train(name, runs.config, set));
    if (runs.missing.empty()) runs.missing = runs.seeds.back().missing;
  }
  return runs;
}

void RowRuns::prepare(const Experiment& experiment) {
  for (const Preparation& made : experiment.preparations) {
    const std::string name = experiment.name + "." + made.name;
    if (!includes(made.scales, options_.scale) || preparations_.contains(name)) continue;
    const Done done = parts_.run(experiment.name, {expand(made.command, words_of(experiment))}, {});
    preparations_[name] = done.folder.string();
  }
}

const RowRuns::Runs& RowRuns::of(const Experiment& experiment, const Row& row) {
  const std::string key = experiment.name + "/" + row.name;
  const auto known = runs_.find(key);
  if (known != runs_.end()) return known->second;
  prepare(experiment);
  return runs_.emplace(key, train(experiment, row)).first->second;
}

}  // namespace tarn::train::reproduce
