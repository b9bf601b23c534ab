#include "train/run/run_folder.h"

#include <algorithm>
#include <vector>

#include "core/check.h"
#include "core/io/file.h"

namespace tarn::train {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMetricsFile = "metrics.jsonl";
constexpr const char* kTimingFile = "timing.jsonl";
constexpr const char* kLockFile = ".lock";
constexpr const char* kStartingFile = ".starting";

// What a start leaves when it is interrupted before config.toml is written: logs without a line,
// and perhaps the checkpoint of step 0.
bool left_by_start(const fs::path& entry) {
  const std::string name = entry.filename().string();
  if (name == kLockFile) return true;
  if (name == kStartingFile || name == kMetricsFile || name == kTimingFile) {
    return fs::is_regular_file(fs::symlink_status(entry)) && fs::file_size(entry) == 0;
  }
  if (name == "checkpoints") return CheckpointFolder(entry).holds_only_step_0();
  return is_temporary_of(Checkpoint::kConfigFile, name);
}

// The first few names, as "a, b, c and 4 more".
std::string list_of(const std::vector<std::string>& names) {
  constexpr std::size_t kShown = 3;
  std::string text;
  for (std::size_t i = 0; i < std::min(kShown, names.size()); ++i) {
    text += (i == 0 ? "" : ", ") + names[i];
  }
  return names.size() > kShown ? message(text, " and ", names.size() - kShown, " more") : text;
}

}  // namespace

void RunFolder::check_free() {
  if (!fs::is_directory(folder_)) return;
  TARN_CHECK_AS(IoError, !fs::exists(folder_ / Checkpoint::kConfigFile), folder_.string(),
                " holds a run already; go on with it with --resume, or choose another --out");
  if (fs::exists(folder_ / kLockFile)) lock();  // another process may be starting here
  const bool interrupted = fs::exists(folder_ / kStartingFile);
  std::vector<std::string> others;
  for (const auto& entry : fs::directory_iterator(folder_)) {
    const bool own =
        interrupted ? left_by_start(entry.path()) : entry.path().filename() == kLockFile;
    if (!own) others.push_back(entry.path().filename().string());
  }
  std::sort(others.begin(), others.end());
  TARN_CHECK_AS(IoError, others.empty(), folder_.string(), " is not empty: it holds ",
                list_of(others), ". A new run would mix with that; choose another --out, or move ",
                others.size() == 1 ? "it" : "them", " away. (--resume goes on from a checkpoint.)");
}

void RunFolder::begin() {
  make_directories(folder_);
  lock();
  check_free();
  const AppendFile starting(folder_ / kStartingFile, 0);
  checkpoints().clear_start();
}

void RunFolder::lock() {
  if (!lock_) lock_ = std::make_unique<FileLock>(folder_ / kLockFile);
}

bool RunFolder::is_starting() const {
  std::error_code ignored;  // a folder that cannot be read is not a run's
  return fs::exists(folder_ / kStartingFile, ignored) && !fs::exists(config(), ignored);
}

bool RunFolder::holds_run() const {
  std::error_code ignored;
  return is_starting() || fs::is_regular_file(folder_ / "checkpoints" / "latest", ignored) ||
         (fs::exists(folder_ / kLockFile, ignored) && fs::exists(config(), ignored));
}

bool RunFolder::in_use() const { return FileLock::held(folder_ / kLockFile); }

void RunFolder::publish(const std::string& config_toml) const {
  remove_temporaries_of(folder_ / Checkpoint::kConfigFile);
  write_file_atomically(folder_ / Checkpoint::kConfigFile, config_toml);
  remove_file(folder_ / kStartingFile);
}

void RunFolder::check_logs(std::int64_t metrics_bytes) const {
  const auto held = fs::exists(metrics()) ? static_cast<std::int64_t>(fs::file_size(metrics())) : 0;
  TARN_CHECK_AS(IoError, held >= metrics_bytes, "cannot continue ", metrics().string(),
                ": it holds ", held, " bytes, and the checkpoint knows of ", metrics_bytes,
                "; lines are missing from it");
}

void check_result_file(const fs::path& file) {
  check_can_write(file);
  if (!fs::exists(file)) return;
  const fs::path real = fs::canonical(file), folder = real.parent_path();
  const std::string name = real.filename().string();
  const bool of_run =
      fs::exists(folder / "checkpoints" / "latest") &&
      (name == Checkpoint::kConfigFile || name == kMetricsFile || name == kTimingFile);
  const bool of_checkpoint =
      fs::exists(folder / Checkpoint::kStateFile) && is_checkpoint_file(name);
  TARN_CHECK_AS(IoError, !of_run && !of_checkpoint, "cannot write ", file.string(),
                ": a run wrote it, and needs it; choose another file");
}

std::int64_t bytes_of_whole_lines(const fs::path& file) {
  if (!fs::exists(file)) return 0;
  return static_cast<std::int64_t>(read_file(file).rfind('\n') + 1);  // npos + 1 is 0
}

}  // namespace tarn::train
