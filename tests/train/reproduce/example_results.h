// Results such as a reproduction would find, for the tests of its report: what the paper has is
// true, and what was measured is made up.
#pragma once

#include <filesystem>

#include "train/reproduce/results.h"

namespace tarn::test {

train::reproduce::Results example_results();
// Its pictures, which it names as files of the folder of the reproduction.
void write_example_pictures(const std::filesystem::path& folder);

// Everything that may stand in a report and looks odd: characters that mean something to HTML,
// Markdown and gnuplot, and nothing where something is usual.
train::reproduce::Results odd_results();

}  // namespace tarn::test
