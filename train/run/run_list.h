// Several runs beside each other: as a list, and by what differs between them.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "train/run/run_summary.h"

namespace tarn::train {

// The folders of the runs in a folder, by name; of other folders and files none. The folder itself
// where it is a run.
std::vector<std::filesystem::path> runs_in(const std::filesystem::path& folder);

// Lines under a heading, one a run: its name, state, task, step, best evaluation, speed and size.
// That of a broken one says why it cannot be read.
std::string list_text(const std::vector<RunSummary>& runs);
// The same as JSON, a line a run.
std::string list_json(const std::vector<RunSummary>& runs);
// What such a line is made of.
nlohmann::ordered_json summary_json(const RunSummary& run);

// A value of a config: as TOML it is JSON too.
nlohmann::ordered_json json_of_toml(const std::string& value);

// A column a run, and a line for each key whose values differ and for each result. None may be
// broken.
std::string comparison_text(const std::vector<RunSummary>& runs);
std::string comparison_json(const std::vector<RunSummary>& runs);

// "loss 0.0312 at step 450", "12100 tokens/s": as lists and others have them; "-" if not known.
std::string best_text(const RunSummary& run);
std::string speed_text(const RunSummary& run);
std::string step_text(const RunSummary& run);
// The name of its folder.
std::string name_of(const RunSummary& run);

}  // namespace tarn::train
