// What a folder of runs holds.
#pragma once

#include <filesystem>
#include <string>

namespace tarn::train {

// A line for each run in the folder, by name: its task, its latest step of how many, and its best
// evaluation. Empty if there are none. A run that cannot be read has a line that says why.
std::string describe_runs(const std::filesystem::path& folder);

}  // namespace tarn::train
