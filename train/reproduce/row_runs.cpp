#include "train/reproduce/runs.h"

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

void check_configs(const Options& options, const std::vector<Experiment>& all,
                   const Experiment& experiment) {
  Substitutes words = words_of_all(options, experiment);
  for (const Experiment& other : all) {  // made later; any name of a folder does here
    for (const Preparation& made : other.preparations) {
      words["made." + other.name + "." + made.name] = "made";
    }
  }
  for (const Row& row : experiment.rows) {
    const auto training = row.training.find(options.scale);
    if (training == row.training.end()) continue;
    load_config(config_of(experiment, training->second), expand(training->second.set, words));
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
    const std::size_t slash = row.same_as.find('/');
    const Experiment& other = experiment_named(all_, row.same_as.substr(0, slash));
    return of(other, row_named(other, row.same_as.substr(slash + 1)));
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
    runs.seeds.push_back(work_.train(name, runs.config, set));
    if (runs.missing.empty()) runs.missing = runs.seeds.back().missing;
  }
  return runs;
}

void RowRuns::prepare(const Experiment& experiment) {
  for (const Preparation& made : experiment.preparations) {
    const std::string name = experiment.name + "." + made.name;
    if (!includes(made.scales, options_.scale) || preparations_.contains(name)) continue;
    const Done done = work_.run(experiment.name, {expand(made.command, words_of(experiment))}, {});
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
