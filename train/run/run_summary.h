// What a line about a run says.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "train/config/config.h"

namespace tarn::train {

enum class RunState {
  running,  // a process trains there now
  stopped,  // --resume goes on
  done,     // all steps were made, or it was stopped early for want of improvement
  broken    // it cannot be read
};
std::string_view text_of(RunState state);

struct RunSummary {
  std::filesystem::path folder;
  RunState state = RunState::broken;
  std::string problem;           // why a broken one cannot be read
  std::optional<Config> config;  // none: broken, or begun a moment ago
  std::int64_t step = 0;         // of the latest checkpoint; of the log while it runs
  std::optional<double> best;    // of best_metric(config.task.kind)
  std::int64_t best_step = 0;
  // The last speeds that timing.jsonl has.
  std::optional<double> tokens_per_second, steps_per_second;
  std::uintmax_t bytes = 0;  // of all files in the folder
};

// Of a folder that RunFolder::holds_run(). A process may train there: nothing is in its way.
RunSummary summarise_run(const std::filesystem::path& folder);

}  // namespace tarn::train
