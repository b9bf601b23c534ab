#include "train/run/run_list.h"

#include <algorithm>
#include <vector>

#include "core/check.h"
#include "train/config/config.h"
#include "train/run/checkpoint_folder.h"

namespace tarn::train {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> runs_in(const fs::path& folder) {
  std::vector<fs::path> runs;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (fs::exists(entry.path() / "checkpoints" / "latest")) runs.push_back(entry.path());
  }
  std::sort(runs.begin(), runs.end());
  return runs;
}

std::string describe(const fs::path& run) {
  try {
    const Checkpoint latest = open_checkpoint(run, Prefer::latest, Checkpoint::Use::state);
    const TrainState& state = latest.state();
    const Config config = latest.config();
    std::string text = message(config.task.kind, "  step ", state.step, " of ", config.train.steps);
    if (!state.best) return text + "  not evaluated yet";
    return message(text, "  best ", *state.best, " at step ", state.best_step);
  } catch (const UserError& error) {
    return message("cannot be read: ", error.what());
  }
}

}  // namespace

std::string describe_runs(const fs::path& folder) {
  const std::vector<fs::path> runs = runs_in(folder);
  std::size_t widest = 0;
  for (const fs::path& run : runs) widest = std::max(widest, run.filename().string().size());
  std::string text;
  for (const fs::path& run : runs) {
    std::string name = run.filename().string();
    name.resize(widest, ' ');
    text += message(name, "  ", describe(run), "\n");
  }
  return text;
}

}  // namespace tarn::train
