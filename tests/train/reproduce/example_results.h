// Results such as a reproduction would find, for the tests of its report: what the paper has is
// true, and what was measured is made up.
#pragma once

#include "train/reproduce/results.h"

namespace tarn::test {

// Pictures are named as files that are not there: report_test.cpp makes them.
train::reproduce::Results example_results();

// Everything that may stand in a report and looks odd: characters that mean something to HTML,
// Markdown and gnuplot, and nothing where something is usual.
train::reproduce::Results odd_results();

}  // namespace tarn::test
