// The training runs that the rows of experiments need.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "train/reproduce/experiment.h"
#include "train/reproduce/measure.h"
#include "train/reproduce/parts.h"
#include "train/reproduce/reproduce.h"

namespace tarn::train::reproduce {

// ConfigError that lists what there is if there is none of that name.
const Experiment& experiment_named(const std::vector<Experiment>& all, const std::string& name);
const Row& row_named(const Experiment& experiment, const std::string& name);

// Throws ConfigError, or IoError for a file, unless the experiment can be run at this scale: every
// training run has a valid config, every {word} in a command is known, and every program and
// every row that another one is the same as exist.
void check_experiment(const Options& options, const std::vector<Experiment>& all,
                      const Experiment& experiment);

class RowRuns {
 public:
  // What a row's training led to: a run for each seed, or none where the row needs none.
  struct Runs {
    std::vector<Trained> seeds;
    std::string config;
    Words set;                  // as the experiment has it
    std::string missing;        // why there is no run; empty: there is, or none is needed
    bool data_missing = false;  // and that is why
  };

  // All must outlive it.
  RowRuns(const Options& options, const std::vector<Experiment>& all, Parts& parts)
      : options_(options), all_(all), parts_(parts) {}

  // Trains at the first call, after what the experiment prepares.
  const Runs& of(const Experiment& experiment, const Row& row);

  // What stands for {name} in the commands of an experiment, and of a row of it.
  Substitutes words_of(const Experiment& experiment) const;
  Substitutes words_of(const Experiment& experiment, const Row& row) const;

 private:
  Runs train(const Experiment& experiment, const Row& row);
  void prepare(const Experiment& experiment);
  std::string missing_data(const Experiment& experiment, const Training& training) const;

  const Options& options_;
  const std::vector<Experiment>& all_;
  Parts& parts_;
  std::map<std::string, Runs> runs_;                 // by "table1/linear"
  std::map<std::string, std::string> preparations_;  // folders, by "table1.drawn"
};

}  // namespace tarn::train::reproduce
