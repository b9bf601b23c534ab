// All that a person asks of one run.
#pragma once

#include <filesystem>
#include <string>

namespace tarn::train {

// Its summary, the keys of its config that are not at their defaults, the curve of its evaluations,
// its checkpoints, and what is in the latest. Throws IoError where it cannot be read.
std::string run_info_text(const std::filesystem::path& run);
// The same in a line of JSON, with the whole config and every evaluation.
std::string run_info_json(const std::filesystem::path& run);

}  // namespace tarn::train
