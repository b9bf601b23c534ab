#include "train/run/checkpoint_folder.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <vector>

#include "core/check.h"
#include "core/io/file.h"

namespace tarn::train {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLatest = "latest";
constexpr const char* kBest = "best";
constexpr const char* kPrefix = "step_";
constexpr const char* kUnfinished = ".unfinished_step_";  // being written, or being removed

std::string name_of_step(const char* prefix, std::int64_t step) {
  char name[48];
  std::snprintf(name, sizeof name, "%s%09lld", prefix, static_cast<long long>(step));
  return name;
}

// The step in a name that name_of_step() gives; nothing for any other name.
std::optional<std::int64_t> step_of(const char* prefix, std::string_view name) {
  const std::string_view digits =
      name.substr(std::min(name.size(), std::string_view(prefix).size()));
  std::int64_t step = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), step);
  if (name != name_of_step(prefix, step)) return std::nullopt;
  return step;
}

// The first entry of a folder that write_checkpoint() does not make, if there is any; the folder
// itself if it is none, or a link.
std::optional<fs::path> stranger_in(const fs::path& directory) {
  if (!fs::is_directory(fs::symlink_status(directory))) return directory;
  for (const auto& entry : fs::directory_iterator(directory)) {
    const bool regular = fs::is_regular_file(entry.symlink_status());
    if (!regular || !is_checkpoint_file(entry.path().filename().string())) return entry.path();
  }
  return std::nullopt;
}

bool holds_state(const fs::path& directory) {
  return fs::exists(directory / Checkpoint::kStateFile);
}

// Whether a folder holds nothing but a checkpoint's files.
void remove_files(const fs::path& directory) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(directory)) files.push_back(entry.path());
  for (const fs::path& file : files) remove_file(file);
  std::error_code error;
  fs::remove(directory, error);
  TARN_CHECK_AS(IoError, !error, "cannot remove ", directory.string(), ": ", error.message());
}

void check_own(const fs::path& directory) {
  const auto stranger = stranger_in(directory);
  TARN_CHECK_AS(IoError, !stranger, stranger->string(),
                " was not written by this run, and is in the way of its checkpoints; move it away");
}

}  // namespace

void CheckpointFolder::save(const TrainState& state, const std::string& config_toml,
                            const nn::Module& model, const optim::Optimizer& optimizer,
                            std::int64_t keep_last) const {
  if (awaits_evaluation(state.step)) {
    write_state(of_step(state.step), state, optimizer);
  } else {
    write_new(state, config_toml, model, optimizer);
  }
  point(kLatest, state.step);
  if (state.best && state.best_step == state.step) point(kBest, state.step);
  prune(state.step, keep_last);
}

bool CheckpointFolder::awaits_evaluation(std::int64_t step) const {
  return holds_state(of_step(step)) &&
         Checkpoint(of_step(step), Checkpoint::Use::state).state().evaluation_due;
}

void CheckpointFolder::write_new(const TrainState& state, const std::string& config_toml,
                                 const nn::Module& model, const optim::Optimizer& optimizer) const {
  const fs::path temporary = unfinished(state.step);
  TARN_CHECK_AS(IoError, !fs::exists(fs::symlink_status(temporary)), "cannot write ",
                temporary.string(), ": it exists already");
  try {
    write_checkpoint(temporary, state, config_toml, model, optimizer);
    publish_directory(temporary, of_step(state.step));
  } catch (...) {
    try {  // frees the room on a full disk; an error here must not hide the first one
      if (fs::exists(temporary) && !stranger_in(temporary)) remove_files(temporary);
    } catch (const std::exception&) {
    }
    throw;
  }
}

fs::path CheckpointFolder::of_step(std::int64_t step) const {
  return folder_ / name_of_step(kPrefix, step);
}

fs::path CheckpointFolder::unfinished(std::int64_t step) const {
  return folder_ / name_of_step(kUnfinished, step);
}

void CheckpointFolder::point(const char* pointer, std::int64_t step) const {
  write_file_atomically(folder_ / pointer, name_of_step(kPrefix, step) + "\n");
}

std::map<std::int64_t, fs::path> CheckpointFolder::named(const char* prefix) const {
  std::map<std::int64_t, fs::path> found;
  if (!fs::is_directory(folder_)) return found;
  for (const auto& entry : fs::directory_iterator(folder_)) {
    const auto step = step_of(prefix, entry.path().filename().string());
    if (step) found.emplace(*step, entry.path());
  }
  return found;
}

std::map<std::int64_t, fs::path> CheckpointFolder::all() const {
  auto found = named(kPrefix);
  std::erase_if(found, [](const auto& entry) { return !holds_state(entry.second); });
  return found;
}

void CheckpointFolder::remove(std::int64_t step) const {
  // Renamed first, so that a checkpoint under its own name is never half removed.
  const fs::path doomed = unfinished(step);
  std::error_code error;
  fs::rename(of_step(step), doomed, error);
  TARN_CHECK_AS(IoError, !error, "cannot remove ", of_step(step).string(), ": ", error.message());
  remove_files(doomed);
}

void CheckpointFolder::prune(std::int64_t newest, std::int64_t keep_last) const {
  std::vector<std::int64_t> steps;
  for (const auto& [step, directory] : named(kPrefix)) {
    if (holds_state(directory) && !stranger_in(directory)) steps.push_back(step);
  }
  const auto best_path = best();
  const auto keep = static_cast<std::size_t>(std::max<std::int64_t>(1, keep_last));
  for (std::size_t i = 0; i + keep < steps.size(); ++i) {
    if (steps[i] != newest && best_path != of_step(steps[i])) remove(steps[i]);
  }
}

void CheckpointFolder::clear_unfinished() const {
  for (const auto& [step, directory] : named(kUnfinished)) {
    check_own(directory);
    remove_files(directory);
  }
  for (const char* pointer : {kLatest, kBest}) remove_temporaries_of(folder_ / pointer);
}

bool CheckpointFolder::holds_only_step_0() const {
  if (!fs::is_directory(fs::symlink_status(folder_))) return false;
  for (const auto& entry : fs::directory_iterator(folder_)) {
    const std::string name = entry.path().filename().string();
    const bool checkpoint =
        name == name_of_step(kPrefix, 0) || name == name_of_step(kUnfinished, 0);
    const bool own =
        checkpoint ? !stranger_in(entry.path()) : name == kLatest || is_temporary_of(kLatest, name);
    if (!own) return false;
  }
  return true;
}

void CheckpointFolder::clear_start() const {
  if (!fs::exists(folder_)) return;
  remove_file(folder_ / kLatest);
  clear_unfinished();
  if (fs::exists(of_step(0))) remove(0);
}

TrainState CheckpointFolder::rewind_to(const TrainState& state) const {
  TrainState found = state;
  find_best(found);
  const auto all = named(kPrefix);
  for (auto later = all.upper_bound(state.step); later != all.end(); ++later) {
    check_own(later->second);
  }
  clear_unfinished();
  point(kLatest, state.step);
  if (found.best) {
    point(kBest, found.best_step);
  } else {
    remove_file(folder_ / kBest);  // it may name a checkpoint that is removed below
  }
  for (auto later = all.upper_bound(state.step); later != all.end(); ++later) remove(later->first);
  return found;
}

// The evaluation of a checkpoint is known where the checkpoint's best step is its own.
void CheckpointFolder::find_best(TrainState& state) const {
  if (!state.best || holds_state(of_step(state.best_step))) return;
  state.best.reset();
  state.best_step = 0;
  for (const auto& [step, directory] : named(kPrefix)) {
    if (step > state.step || !holds_state(directory)) continue;
    try {
      const TrainState other = Checkpoint(directory, Checkpoint::Use::state).state();
      if (!other.best || other.best_step != step) continue;
      if (state.best && *state.best < *other.best) continue;
      state.best = other.best;
      state.best_step = step;
    } catch (const IoError&) {  // a damaged checkpoint is not the best, nor the one that is resumed
    }
  }
}

std::optional<fs::path> CheckpointFolder::latest() const { return pointed(kLatest); }
std::optional<fs::path> CheckpointFolder::best() const { return pointed(kBest); }

std::optional<fs::path> CheckpointFolder::pointed(const char* pointer) const {
  const fs::path file = folder_ / pointer;
  if (!fs::exists(file)) return std::nullopt;
  std::string name = read_file(file);
  name.erase(name.find_last_not_of(" \n") + 1);
  TARN_CHECK_AS(IoError, step_of(kPrefix, name), file.string(), " names no checkpoint: it holds \"",
                name, "\", not the name of a folder beside it, such as ", name_of_step(kPrefix, 0));
  return folder_ / name;
}

namespace {

// "runs/x/" is "runs/x".
fs::path without_trailing_slash(const fs::path& path) {
  return path.has_filename() ? path : path.parent_path();
}

// The folder and the name of a pointer, which a link may mean too.
std::optional<fs::path> pointer_at(const fs::path& path) {
  if (!fs::is_regular_file(path)) return std::nullopt;
  const fs::path file = fs::canonical(path);
  if (file.filename() != kLatest && file.filename() != kBest) return std::nullopt;
  return fs::is_symlink(path) ? file : path;
}

std::optional<fs::path> checkpoint_in(const CheckpointFolder& folder, Prefer prefer) {
  const auto best = prefer == Prefer::best ? folder.best() : std::nullopt;
  return best ? best : folder.latest();
}

// A run's best checkpoint was asked for, and its latest is what there is. That is no news where
// nothing was evaluated yet.
void note_lost_best(const Checkpoint& checkpoint, const fs::path& given) {
  const TrainState& state = checkpoint.state();
  if (!fs::is_directory(given) || fs::exists(given / Checkpoint::kStateFile)) return;
  if (!state.best || state.best_step == state.step) return;
  if (CheckpointFolder(checkpoint.directory().parent_path()).best()) return;
  std::fprintf(stderr,
               "note: the best checkpoint of %s, of step %lld, is not there any more; this is the "
               "latest, of step %lld\n",
               given.c_str(), static_cast<long long>(state.best_step),
               static_cast<long long>(state.step));
}

}  // namespace

fs::path find_checkpoint(const fs::path& given, Prefer prefer) {
  fs::path path = without_trailing_slash(given);
  if (fs::exists(path / Checkpoint::kStateFile)) return path;
  if (const auto pointer = pointer_at(path)) {
    const CheckpointFolder folder(pointer->parent_path());
    if (const auto found = pointer->filename() == kBest ? folder.best() : folder.latest()) {
      return *found;
    }
  }
  TARN_CHECK_AS(IoError, fs::is_directory(path), given.string(),
                " is not there: neither a run's folder nor a checkpoint");
  auto found = checkpoint_in(CheckpointFolder(path / "checkpoints"), prefer);
  if (!found) found = checkpoint_in(CheckpointFolder(path), prefer);
  TARN_CHECK_AS(IoError, found.has_value(), given.string(), " holds no checkpoint: it has neither ",
                Checkpoint::kStateFile, ", as a checkpoint, nor checkpoints/latest, as a run");
  return *found;
}

Checkpoint open_checkpoint(const fs::path& given, Prefer prefer, Checkpoint::Use use) {
  for (;;) {
    const fs::path directory = find_checkpoint(given, prefer);
    std::error_code absent;  // then both times are the same
    const auto time = fs::last_write_time(directory, absent);
    try {
      Checkpoint checkpoint(directory, use);
      if (prefer == Prefer::best) note_lost_best(checkpoint, given);
      return checkpoint;
    } catch (const IoError&) {
      // The pointer has not changed: it is wrong, and trying again would not help.
      if (find_checkpoint(given, prefer) == directory &&
          fs::last_write_time(directory, absent) == time) {
        throw;
      }
    }
  }
}

bool names_checkpoint(const fs::path& given) {
  const fs::path path = without_trailing_slash(given);
  return fs::is_directory(path) || pointer_at(path).has_value();
}

}  // namespace tarn::train
