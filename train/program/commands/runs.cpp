#include <cstdio>

#include "core/check.h"
#include "train/program/commands.h"
#include "train/run/run_folder.h"
#include "train/run/run_list.h"

namespace tarn::train {
namespace {

namespace fs = std::filesystem;

std::vector<RunSummary> summaries_of(const std::vector<fs::path>& runs) {
  std::vector<RunSummary> all;
  all.reserve(runs.size());
  for (const fs::path& run : runs) all.push_back(summarise_run(run));
  return all;
}

int compare(const std::vector<fs::path>& runs, bool json) {
  for (const fs::path& run : runs) {
    TARN_CHECK_AS(
        IoError, RunFolder(run).holds_run(), run.string(),
        " is no run, and only runs are compared; tarn runs FOLDER lists those in a folder");
  }
  const std::vector<RunSummary> all = summaries_of(runs);
  std::fputs((json ? comparison_json(all) : comparison_text(all)).c_str(), stdout);
  return 0;
}

}  // namespace

int print_runs(const fs::path& folder, bool json) {
  const std::vector<fs::path> runs = runs_in(folder);
  if (runs.empty()) {
    std::fprintf(stderr, "there are no runs in %s\n", folder.c_str());
    return 0;
  }
  const std::vector<RunSummary> all = summaries_of(runs);
  std::fputs((json ? list_json(all) : list_text(all)).c_str(), stdout);
  if (RunFolder(folder).holds_run()) {
    std::fprintf(stderr, "note: %s is a run itself; tarn info %s says more\n", folder.c_str(),
                 folder.c_str());
  }
  return 0;
}

int runs_command(const RunsCommand& command) {
  if (command.folders.size() > 1) return compare(command.folders, command.json);
  return print_runs(command.folders.empty() ? "runs" : command.folders.front(), command.json);
}

}  // namespace tarn::train
