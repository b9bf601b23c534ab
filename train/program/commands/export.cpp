#include <cstdio>

#include "core/check.h"
#include "core/io/file.h"
#include "train/program/commands.h"
#include "train/run/event_file.h"
#include "train/run/run_csv.h"
#include "train/run/run_folder.h"

namespace tarn::train {

int export_command(const ExportCommand& command) {
  const RunFolder run(command.run);
  TARN_CHECK_AS(ConfigError, !command.csv.empty() || !command.tensorboard.empty(),
                "tarn export: what to write? --csv FILE, --tensorboard FOLDER, or both");
  TARN_CHECK_AS(IoError, run.holds_run(), command.run.string(),
                std::filesystem::exists(command.run) ? " is no run's folder" : " is not there");
  if (!command.csv.empty()) check_result_file(command.csv);
  const std::vector<LogLine> log = read_log(run);
  TARN_CHECK_AS(IoError, !log.empty(), run.metrics().string(), " holds no line yet");
  if (!command.tensorboard.empty()) export_events(command.tensorboard, log);
  if (!command.csv.empty()) write_file_atomically(command.csv, log_csv(log));
  std::fprintf(stderr, "%zu lines, to step %lld\n", log.size(),
               static_cast<long long>(log.back().step));
  return 0;
}

}  // namespace tarn::train
