#include "train/run/run_summary.h"

#include <algorithm>

#include "core/check.h"
#include "train/run/run_log.h"
#include "train/run/trainer.h"

namespace tarn::train {
namespace {

namespace fs = std::filesystem;

// A run that trains may remove a file, or a folder, between two looks; it then counts as absent.
std::uintmax_t bytes_below(const fs::path& folder) {
  std::uintmax_t total = 0;
  std::error_code absent;
  for (fs::directory_iterator entry(folder, absent); entry != fs::directory_iterator();
       entry.increment(absent)) {
    const fs::file_status status = entry->symlink_status(absent);
    if (fs::is_directory(status)) {
      total += bytes_below(entry->path());
    } else if (fs::is_regular_file(status)) {
      const std::uintmax_t bytes = entry->file_size(absent);
      if (!absent) total += bytes;
    }
  }
  return total;
}

void read_speeds(const RunFolder& run, RunSummary& summary) {
  const auto last = last_timing_line(run);
  if (!last) return;
  summary.tokens_per_second = value_named(last->timing, "tokens_per_s");
  const auto seconds = value_named(last->timing, "seconds_per_step");
  if (seconds && *seconds > 0) summary.steps_per_second = 1 / *seconds;
}

void read_run(const RunFolder& run, RunSummary& summary) {
  const bool running = run.in_use();
  if (running) summary.state = RunState::running;
  if (run.is_starting()) {
    TARN_CHECK_AS(IoError, running, "its start was interrupted; tarn train with --out ",
                  run.path().string(), " begins it anew");
    return;
  }
  TARN_CHECK_AS(IoError, fs::exists(run.config()), run.config().string(),
                " is missing; tarn train with --resume writes it again");
  const Config config = load_config(run.config());
  const TrainState state =
      open_checkpoint(run.path(), Prefer::latest, Checkpoint::Use::state).state();
  // A run that goes on from an earlier checkpoint may be cutting its log at this moment.
  if (!running) run.check_logs(state.metrics_bytes);
  summary.step = state.step;
  summary.best = state.best;
  summary.best_step = state.best_step;
  read_speeds(run, summary);
  const auto logged = last_metrics_line(run);
  if (running && logged) summary.step = std::max(summary.step, logged->step);
  if (!running) {
    summary.state = is_complete(config.train, state) ? RunState::done : RunState::stopped;
  }
  summary.config = config;
}

}  // namespace

std::string_view text_of(RunState state) {
  switch (state) {
    case RunState::running:
      return "running";
    case RunState::stopped:
      return "stopped";
    case RunState::done:
      return "done";
    case RunState::broken:
      return "broken";
  }
  return "";
}

RunSummary summarise_run(const fs::path& folder) {
  RunSummary summary, broken;
  summary.folder = broken.folder = folder;
  summary.bytes = broken.bytes = bytes_below(folder);
  try {
    read_run(RunFolder(folder), summary);
    return summary;
  } catch (const UserError& error) {
    broken.problem = error.what();
  } catch (const fs::filesystem_error& error) {  // of a file that cannot be looked at
    broken.problem = error.what();
  }
  return broken;
}

}  // namespace tarn::train
