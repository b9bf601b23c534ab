// What a run has logged: metrics.jsonl, and what timing.jsonl says of the same steps.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "train/run/run_folder.h"

namespace tarn::train {

using LogValues = std::vector<std::pair<std::string, double>>;  // in the order of the file

// A line of metrics.jsonl, and that of timing.jsonl for the same step.
struct LogLine {
  std::int64_t step = 0;
  bool evaluation = false;
  LogValues values;            // metrics; a training line's lr and grad_norm too
  LogValues timing;            // all but the time
  std::optional<double> time;  // when it was written, in seconds since 1970
};

double unix_time();  // now, in seconds since 1970, to a millisecond

// Each throws IoError that names the source, a file and a line, where the text is no such line.
LogLine parse_metrics_line(std::string_view text, const std::string& source);
void add_timing_line(LogLine& line, std::string_view text, const std::string& source);

// All that the folder's run has logged. Half a line at the end of a file, which is still being
// written or which a kill left, is no line yet. Of several lines that timing.jsonl has of a step,
// which was made again after a resumption, the last counts.
std::vector<LogLine> read_log(const RunFolder& run);

// The last whole line of each alone; nothing where there is none.
std::optional<LogLine> last_metrics_line(const RunFolder& run);
std::optional<LogLine> last_timing_line(const RunFolder& run);

// Nothing where the list does not have the name.
std::optional<double> value_named(const LogValues& values, std::string_view name);

}  // namespace tarn::train
