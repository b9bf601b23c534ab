#include "train/reproduce/reproduce.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "core/build_info.h"
#include "core/check.h"
#include "core/io/json.h"
#include "core/names.h"
#include "kernels/backend.h"
#include "train/reproduce/charts.h"
#include "train/reproduce/claims.h"
#include "train/reproduce/measure.h"
#include "train/reproduce/parts.h"
#include "train/reproduce/report.h"
#include "train/reproduce/row_runs.h"

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

void check_rows(const std::vector<Experiment>& all, const std::vector<std::string>& only) {
  std::set<std::string> known;
  for (const Experiment& experiment : all) {
    for (const Row& row : experiment.rows) known.insert(row.name);
  }
  const std::vector<std::string> names(known.begin(), known.end());
  for (const std::string& name : only) {
    TARN_CHECK_AS(ConfigError, known.contains(name), "--only: no experiment has a row \"", name,
                  "\"; there are ", joined(names));
  }
}

class Reproduction {
 public:
  Reproduction(const Options& options, const std::vector<Experiment>& all)
      : options_(options),
        parts_(options.experiments.parent_path(), options.out),
        runs_(options, all, parts_) {}

  ExperimentResult run(const Experiment& experiment);
  bool failed() const { return parts_.failed(); }

 private:
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
  Parts parts_;
  RowRuns runs_;
  std::set<fs::path> counted_;  // commands whose seconds were added to a result
};

std::vector<Curve> Reproduction::curves(const Experiment& experiment, const Row& row,
                                        const Source& source, double& seconds) {
  if (!includes(source.rows, row.name) || !at_this_scale(source.scales)) return {};
  const RowRuns::Runs& runs = runs_.of(experiment, row);
  const bool of_run = uses(source.command, "run");
  const bool independent = source.log.empty() && !of_run && !uses(source.command, "config");
  if (!runs.missing.empty() && !independent) return {};
  std::vector<Curve> curves;
  if (!source.log.empty()) {
    for (const Trained& run : runs.seeds) curves.push_back(evaluations(run.folder, source));
    return curves;
  }
  Substitutes words = runs_.words_of(experiment, row);
  words["config"] = runs.config;
  if (of_run && runs.seeds.empty()) return {};
  const std::size_t count = of_run ? runs.seeds.size() : 1;
  for (std::size_t seed = 0; seed < count; ++seed) {
    if (of_run) words["run"] = runs.seeds[seed].folder.string();
    Words inputs;
    if (uses(source.command, "config") && !runs.seeds.empty()) {
      inputs.push_back(runs.seeds[seed].config_hash);
    }
    const Done done = parts_.run(experiment.name, {expand(source.command, words)}, inputs);
    if (!done.missing.empty()) return {};
    if (counted_.insert(done.folder).second) seconds += done.seconds;
    curves.push_back(points_of(parse_json(done.value, "a result"), source, words));
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
  const RowRuns::Runs& runs = runs_.of(experiment, row);
  drawn.missing = runs.missing;
  if (!drawn.missing.empty()) return drawn;
  Substitutes words = runs_.words_of(experiment, row);
  if (!runs.seeds.empty()) words["run"] = runs.seeds[0].folder.string();
  std::vector<Words> commands;
  for (const Words& command : picture.commands) commands.push_back(expand(command, words));
  const Done done = parts_.run(experiment.name, commands, {});
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
    const RowRuns::Runs& runs = runs_.of(experiment, row);
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
    if (runs.data_missing) result.missing = runs.missing;
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
  const std::vector<Experiment> all = load_experiments(options.experiments);
  for (const std::string& name : options.names) experiment_named(all, name);
  check_rows(all, options.only);
  Outcome outcome;
  outcome.results.scale = options.scale;
  outcome.results.machine = machine_of(options.device);
  outcome.report = options.out / "report" / "index.html";
  for (const Experiment& experiment : all) check_experiment(options, all, experiment);
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
