// Charts of the report, drawn by gnuplot.
#pragma once

#include <string>
#include <vector>

#include "train/reproduce/results.h"

namespace tarn::train::reproduce {

// UserError that says what to install unless gnuplot can be run: asked before hours of work.
void check_gnuplot();

// The names of all rows with curves, each once. A method's place here is its colour in all charts.
std::vector<std::string> methods_of(const Results& results);

// The chart of an experiment as an SVG element to stand in a page, whose colours of text and lines
// it takes: --text, --muted and --line. The ids in it begin with `prefix`. Empty if no row has a
// point that can be drawn; on a log axis, only those above 0 can. Throws Error if gnuplot fails.
std::string chart_svg(const ChartResult& chart, const std::vector<RowResult>& rows,
                      const std::vector<std::string>& methods, const std::string& prefix);

}  // namespace tarn::train::reproduce
