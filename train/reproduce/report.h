// The report of a reproduction: its results as JSON, as tables for Markdown files, and as a page.
#pragma once

#include <filesystem>

#include "train/reproduce/results.h"

namespace tarn::train::reproduce {

// Writes report/results.json, report/results.md and report/index.html under the folder of the
// reproduction, each as a whole. It may be called again whenever there are more results.
// check_gnuplot() (charts.h) tells beforehand whether it can.
void write_report(const Results& results, const std::filesystem::path& folder);

}  // namespace tarn::train::reproduce
