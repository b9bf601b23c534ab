// Runs the experiments of the paper and says, side by side, what the paper has and what came out.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "train/reproduce/experiment.h"
#include "train/reproduce/results.h"

namespace tarn::train::reproduce {

struct Options {
  std::vector<std::string> names;  // of experiments; empty: all
  std::string scale = "smoke";
  std::filesystem::path out;  // the folder; empty: runs/reproduce_<scale>
  std::filesystem::path experiments = "experiments";
  std::filesystem::path data = "data";  // the folder with the data sets' folders
  std::string device = "cpu";
  std::vector<std::string> only;  // names of rows; empty: all
  std::int64_t seeds = 1;         // of each training run: the config's, and those after it
};

struct Outcome {
  Results results;
  std::filesystem::path report;  // its page
  bool failed = false;  // whether a part ended with an error, besides data that is not there
};

// Does what is left to do, and writes the report after each experiment. ConfigError if a name, a
// config or an experiment's file is wrong, before anything is run. Throws Interrupted if a signal
// came; the next call goes on from there.
Outcome reproduce(const Options& options);

}  // namespace tarn::train::reproduce
