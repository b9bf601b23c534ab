#include "train/reproduce/reproduce.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

#include "core/build_info.h"
#include "core/check.h"
#include "core/io/file.h"
#include "core/names.h"
#include "kernels/backend.h"
#include "train/config/config.h"
#include "train/reproduce/charts.h"
#include "train/reproduce/claims.h"
#include "train/reproduce/measure.h"
#include "train/reproduce/report.h"
#include "train/reproduce/work.h"

namespace tarn::train::reproduce {
namespace {

namespace fs = std::filesystem;

Machine machine_of(const std::string& device) {
  const kernels::CpuBackend cpu = kernels::cpu_backend();
  return {cpu.processor,
          cpu.instruction_set,
          cpu.blas + ", core " + cpu.blas_core,
          kernels::describe(parse_device(device)),
          kVersion,
          kGitCommit,
          cpu.threads};
}

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

class Reproduction {
 public:
  Reproduction(const Options& options, std::vector<Experiment> all)
      : options_(options),
        all_(std::move(all)),
        work_(options.experiments.parent_path(), options.out) {}

  ExperimentResult run(const Experiment& experiment);
  bool failed() const { return work_.failed(); }

 private:
  // What a row's runs are: one for each seed.
  struct Runs {
    std::vector<Trained> seeds;
    std::string config;
    Words set;
    std::string missing;
  };

  const Runs& runs_of(const Experiment& experiment, const Row& row);
  Runs train(const Experiment& experiment, const Row& row);
  std::string missing_data(const Experiment& experiment, const Training& training) const;
  // What stands for {name} in the commands of an experiment, and of a row of it.
  std::map<std::string, std::string> words_of(const Experiment& experiment) const;
  std::map<std::string, std::string> words_of(const Experiment& experiment, const Row& row);

  // The values that a source gives for a row, one for each seed or one alone.
  std::vector<Curve> curves(const Experiment& experiment, const Row& row, const Source& source,
                            double& seconds);
  void measure(const Experiment& experiment, const Row& row, ExperimentResult& result,
               RowResult& into);
  PictureResult draw(const Experiment& experiment, const Picture& picture, double& seconds);

  bool at_this_scale(const std::vector<std::string>& scales) const {
    return includes(scales, options_.scale);
  }

  Options options_;
  std::vector<Experiment> all_;
  Work work_;
  std::map<std::string, Runs> runs_;                 // by "table1/linear"
  std::map<std::string, std::string> preparations_;  // folders, by "table1.drawn"
};

std::string Reproduction::missing_data(const Experiment& experiment,
                                       const Training& training) const {
  if (training.data.empty()) return "";
  const fs::path folder = options_.data / training.data;
  if (fs::is_directory(folder)) return "";
  const auto where = experiment.data.find(training.data);
  return message(folder.string(), " is missing",
                 where == experiment.data.end() ? "" : ": " + where->second);
}

std::map<std::string, std::string> Reproduction::words_of(const Experiment& experiment) const {
  std::map<std::string, std::string> words{{"data", options_.data.string()},
                                           {"device", options_.device},
                                           {"out", options_.out.string()},
                                           {"dir", "{dir}"},
                                           {"json", "{json}"}};
  const auto of_scale = experiment.words.find(options_.scale);
  if (of_scale != experiment.words.end())
    words.insert(of_scale->second.begin(), of_scale->second.end());
  for (const auto& [name, folder] : preparations_) {
    words["made." + name] = folder;
  }
  return words;
}

std::map<std::string, std::string> Reproduction::words_of(const Experiment& experiment,
                                                          const Row& row) {
  std::map<std::string, std::string> words = words_of(experiment);
  words.insert(row.words.begin(), row.words.end());
  words["row"] = row.name;
  return words;
}

Reproduction::Runs Reproduction::train(const Experiment& experiment, const Row& row) {
  Runs runs;
  if (!row.same_as.empty()) {
    const std::size_t slash = row.same_as.find('/');
    const Experiment& other = experiment_named(all_, row.same_as.substr(0, slash));
    return runs_of(other, row_named(other, row.same_as.substr(slash + 1)));
  }
  const auto training = row.training.find(options_.scale);
  if (training == row.training.end()) {
    if (!row.training.empty()) runs.missing = "not run at this scale";
    return runs;
  }
  const fs::path config = experiment.folder / training->second.config;
  runs.config = config.lexically_normal().string();
  runs.missing = missing_data(experiment, training->second);
  if (!runs.missing.empty()) return runs;
  const std::map<std::string, std::string> words = words_of(experiment, row);
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

const Reproduction::Runs& Reproduction::runs_of(const Experiment& experiment, const Row& row) {
  const std::string key = experiment.name + "/" + row.name;
  for (const Preparation& made : experiment.preparations) {
    const std::string name = experiment.name + "." + made.name;
    if (!at_this_scale(made.scales) || preparations_.contains(name)) continue;
    const Done done = work_.run(experiment.name, {expand(made.command, words_of(experiment))}, {});
    preparations_[name] = done.folder.string();
  }
  const auto known = runs_.find(key);
  return known != runs_.end() ? known->second
                              : runs_.emplace(key, train(experiment, row)).first->second;
}

std::vector<Curve> Reproduction::curves(const Experiment& experiment, const Row& row,
                                        const Source& source, double& seconds) {
  if (!includes(source.rows, row.name) || !at_this_scale(source.scales)) return {};
  const Runs& runs = runs_of(experiment, row);
  if (!runs.missing.empty()) return {};
  std::vector<Curve> curves;
  if (!source.log.empty()) {
    for (const Trained& run : runs.seeds) curves.push_back(evaluations(run.folder, source));
    return curves;
  }
  std::map<std::string, std::string> words = words_of(experiment, row);
  words["config"] = runs.config;
  const bool of_run = uses(source.command, "run");
  if (of_run && runs.seeds.empty()) return {};
  const std::size_t count = of_run ? runs.seeds.size() : 1;
  for (std::size_t seed = 0; seed < count; ++seed) {
    if (of_run) words["run"] = runs.seeds[seed].folder.string();
    Words inputs;
    if (uses(source.command, "config") && !runs.seeds.empty()) {
      inputs.push_back(runs.seeds[seed].config_hash);
    }
    const Done done = work_.run(experiment.name, {expand(source.command, words)}, inputs);
    if (!done.missing.empty()) return {};
    seconds += done.seconds;
    curves.push_back(points_of(done.value, source, words));
  }
  return curves;
}

void Reproduction::measure(const Experiment& experiment, const Row& row, ExperimentResult& result,
                           RowResult& into) {
  for (const Column& column : experiment.columns) {
    if (!column.formula.empty()) continue;
    std::vector<double> values;
    for (const Curve& curve : curves(experiment, row, column.source, result.seconds)) {
      if (!curve.empty()) values.push_back(one_value(curve, column.source));
    }
    if (!values.empty()) into.values[column.name] = mean_of(values);
  }
  for (const Chart& chart : experiment.charts) {
    const std::vector<Curve> all = curves(experiment, row, chart.source, result.seconds);
    if (!all.empty() && !all[0].empty()) into.curves[chart.name] = mean_of(all);
  }
}

PictureResult Reproduction::draw(const Experiment& experiment, const Picture& picture,
                                 double& seconds) {
  PictureResult drawn;
  drawn.title = picture.title;
  drawn.caption = picture.caption;
  const Row& row = row_named(experiment, picture.row);
  const Runs& runs = runs_of(experiment, row);
  drawn.missing = runs.missing;
  if (!drawn.missing.empty()) return drawn;
  std::map<std::string, std::string> words = words_of(experiment, row);
  if (!runs.seeds.empty()) words["run"] = runs.seeds[0].folder.string();
  std::vector<Words> commands;
  for (const Words& command : picture.commands) commands.push_back(expand(command, words));
  const Done done = work_.run(experiment.name, commands, {});
  seconds += done.seconds;
  drawn.missing = done.missing;
  drawn.file = fs::relative(done.folder / picture.file, options_.out);
  return drawn;
}

ExperimentResult Reproduction::run(const Experiment& experiment) {
  ExperimentResult result;
  result.name = experiment.name;
  result.title = experiment.title;
  result.place = experiment.place;
  result.about = experiment.about;
  for (const Column& column : experiment.columns) {
    result.columns.push_back({column.name, column.title, column.digits, column.paper});
  }
  for (const Chart& chart : experiment.charts) {
    result.charts.push_back(
        {chart.name, chart.title, chart.x_title, chart.y_title, chart.x_log, chart.y_log});
  }
  for (const Row& row : experiment.rows) {
    if (!includes(options_.only, row.name)) continue;
    const Runs& runs = runs_of(experiment, row);
    RowResult into;
    into.name = row.name;
    into.title = row.title;
    into.config = runs.config;
    into.set = runs.set;
    into.missing = runs.missing;
    if (!runs.seeds.empty()) into.config_hash = runs.seeds[0].config_hash;
    for (const Trained& run : runs.seeds) into.seconds += run.seconds;
    measure(experiment, row, result, into);
    if (row.same_as.empty()) result.seconds += into.seconds;
    if (runs.missing.ends_with(" is missing") ||
        runs.missing.find(" is missing: ") != runs.missing.npos) {
      result.missing = runs.missing;
    }
    result.rows.push_back(std::move(into));
  }
  compute_formulas(experiment, result);
  for (const Claim& claim : experiment.claims) {
    result.claims.push_back(judge(claim, result, at_this_scale(claim.scales)));
  }
  for (const Picture& picture : experiment.pictures) {
    if (!at_this_scale(picture.scales) || !includes(options_.only, picture.row)) continue;
    result.pictures.push_back(draw(experiment, picture, result.seconds));
  }
  return result;
}

}  // namespace

Outcome reproduce(const Options& given) {
  Options options = given;
  if (options.out.empty()) options.out = fs::path("runs") / ("reproduce_" + options.scale);
  check_gnuplot();
  std::vector<Experiment> all = load_experiments(options.experiments);
  for (const std::string& name : options.names) experiment_named(all, name);
  Outcome outcome;
  outcome.results.scale = options.scale;
  outcome.results.machine = machine_of(options.device);
  outcome.report = options.out / "report" / "index.html";
  Reproduction reproduction(options, all);
  for (const Experiment& experiment : all) {
    if (!includes(options.names, experiment.name)) continue;
    outcome.results.experiments.push_back(reproduction.run(experiment));
    write_report(outcome.results, options.out);
  }
  outcome.failed = reproduction.failed();
  return outcome;
}

}  // namespace tarn::train::reproduce
