#include "train/run/checkpoint_folder.h"

#include <algorithm>
#include <cstdio>

#include "core/check.h"
#include "core/io/file.h"

namespace tarn::train {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPrefix = "step_";
constexpr const char* kUnfinished = ".unfinished_";  // being written, or being removed

std::string name_of_step(std::int64_t step) {
  char name[32];
  std::snprintf(name, sizeof name, "%s%09lld", kPrefix, static_cast<long long>(step));
  return name;
}

// A file, or a directory with all that is in it; none of it is an error if it is not there.
void remove_tree(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  TARN_CHECK_AS(IoError, !error, "cannot remove ", path.string(), ": ", error.message());
}

}  // namespace

void CheckpointFolder::save(const TrainState& state, const std::string& config_toml,
                            const nn::Module& model, const optim::Optimizer& optimizer,
                            std::int64_t keep_last) const {
  const std::string name = name_of_step(state.step);
  const fs::path temporary = folder_ / (kUnfinished + name);
  remove_tree(temporary);
  try {
    write_checkpoint(temporary, state, config_toml, model, optimizer);
    publish_directory(temporary, folder_ / name);
  } catch (...) {
    std::error_code ignored;  // a full disk needs the room, and the first failure is worth telling
    fs::remove_all(temporary, ignored);
    throw;
  }
  write_file_atomically(folder_ / "latest", name + "\n");
  if (state.best && state.best_step == state.step) {
    write_file_atomically(folder_ / "best", name + "\n");
  }
  prune(name, keep_last);
}

std::vector<std::string> CheckpointFolder::names(const char* prefix) const {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder_)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(prefix)) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

void CheckpointFolder::remove(const std::string& name) const {
  // Renamed first, so that a checkpoint under its own name is never half removed.
  const fs::path doomed = folder_ / (kUnfinished + name);
  std::error_code error;
  fs::rename(folder_ / name, doomed, error);
  TARN_CHECK_AS(IoError, !error, "cannot remove ", (folder_ / name).string(), ": ",
                error.message());
  remove_tree(doomed);
}

void CheckpointFolder::prune(const std::string& newest, std::int64_t keep_last) const {
  const std::vector<std::string> all = names(kPrefix);
  const auto best_path = best();
  const auto keep = static_cast<std::size_t>(std::max<std::int64_t>(1, keep_last));
  for (std::size_t i = 0; i + keep < all.size(); ++i) {
    if (all[i] == newest || (best_path && best_path->filename() == all[i])) continue;
    remove(all[i]);
  }
}

void CheckpointFolder::clear() const {
  if (!fs::exists(folder_)) return;
  for (const char* pointer : {"latest", "best"}) remove_tree(folder_ / pointer);
  for (const std::string& name : names(kPrefix)) remove(name);
  for (const std::string& name : names(kUnfinished)) remove_tree(folder_ / name);
}

void CheckpointFolder::rewind_to(const TrainState& state) const {
  for (const std::string& name : names(kUnfinished)) remove_tree(folder_ / name);
  const std::string name = name_of_step(state.step);
  write_file_atomically(folder_ / "latest", name + "\n");
  const std::string best_name = state.best ? name_of_step(state.best_step) : "";
  if (state.best && fs::exists(folder_ / best_name)) {
    write_file_atomically(folder_ / "best", best_name + "\n");
  } else {
    remove_tree(folder_ / "best");  // it may name one that is about to go
  }
  for (const std::string& other : names(kPrefix)) {
    if (other > name) remove(other);
  }
}

std::optional<fs::path> CheckpointFolder::latest() const { return pointed("latest"); }
std::optional<fs::path> CheckpointFolder::best() const { return pointed("best"); }

std::optional<fs::path> CheckpointFolder::pointed(const char* pointer) const {
  const fs::path file = folder_ / pointer;
  if (!fs::exists(file)) return std::nullopt;
  std::string name = read_file(file);
  name.erase(name.find_last_not_of(" \n") + 1);
  return folder_ / name;
}

fs::path find_checkpoint(const fs::path& run_or_checkpoint, bool prefer_best) {
  if (fs::exists(run_or_checkpoint / Checkpoint::kStateFile)) return run_or_checkpoint;
  TARN_CHECK_AS(IoError, fs::is_directory(run_or_checkpoint), run_or_checkpoint.string(),
                " is not there: neither a run's folder nor a checkpoint");
  const CheckpointFolder folder(run_or_checkpoint / "checkpoints");
  const auto best = prefer_best ? folder.best() : std::nullopt;
  const auto found = best ? best : folder.latest();
  TARN_CHECK_AS(IoError, found.has_value(), run_or_checkpoint.string(),
                " holds no checkpoint: it has neither ", Checkpoint::kStateFile,
                ", as a checkpoint, nor checkpoints/latest, as a run");
  return *found;
}

}  // namespace tarn::train
