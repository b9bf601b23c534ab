// The folder of one run: config.toml, metrics.jsonl, timing.jsonl and checkpoints/, and
// tensorboard/ where that is wanted.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "core/io/file_lock.h"
#include "train/run/checkpoint_folder.h"

namespace tarn::train {

// One process trains in a folder at a time, and a new run begins only where nothing is lost: in a
// folder that is absent or empty, or that holds no more than a start that was interrupted left
// there. Such a start is known by the file .starting, which exists from the first change in the
// folder until config.toml is written. Every problem is an IoError that says what to do.
class RunFolder {
 public:
  explicit RunFolder(std::filesystem::path folder) : folder_(std::move(folder)) {}

  // Throws unless a new run may begin here. Changes nothing.
  void check_free();
  // Makes the folder, locks it, and looks once more, since another process may have begun a run
  // here since check_free(). Removes what an interrupted start left.
  void begin();
  // Locks the folder of a run that goes on.
  void lock();
  // Throws unless metrics.jsonl holds at least so many bytes, which a checkpoint knows of.
  void check_logs(std::int64_t metrics_bytes) const;
  // Writes config.toml: from now on the folder holds a run.
  void publish(const std::string& config_toml) const;

  // Whether the folder holds a run, or what is left of one: foreign folders do not.
  bool holds_run() const;
  // Whether a start in this folder goes on or was interrupted: there is no config.toml yet.
  bool is_starting() const;
  // Whether a process trains here now. Never in that process's way.
  bool in_use() const;

  std::filesystem::path path() const { return folder_; }
  std::filesystem::path config() const { return folder_ / Checkpoint::kConfigFile; }
  std::filesystem::path metrics() const { return folder_ / "metrics.jsonl"; }
  std::filesystem::path timing() const { return folder_ / "timing.jsonl"; }
  std::filesystem::path tensorboard() const { return folder_ / "tensorboard"; }
  CheckpointFolder checkpoints() const { return CheckpointFolder(folder_ / "checkpoints"); }

 private:
  std::filesystem::path folder_;
  std::unique_ptr<FileLock> lock_;
};

// IoError unless a command may write its results to the file: it can be made or replaced
// (check_can_write), and is no file that a run wrote.
void check_result_file(const std::filesystem::path& file);

// The bytes of the file up to the end of its last whole line; 0 if there is no file. A process that
// was killed may have left half a line after it.
std::int64_t bytes_of_whole_lines(const std::filesystem::path& file);

}  // namespace tarn::train
