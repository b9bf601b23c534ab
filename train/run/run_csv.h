// A run's log as a table for spreadsheets and plotting programs.
#pragma once

#include <span>
#include <string>

#include "train/run/run_log.h"

namespace tarn::train {

// CSV (RFC 4180): a heading, and a row a line of the log. The columns are step, kind (training or
// evaluation) and every name that any line has; an empty cell is a number that a line has not.
std::string log_csv(std::span<const LogLine> log);

}  // namespace tarn::train
