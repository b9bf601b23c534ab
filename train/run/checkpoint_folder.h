// The checkpoints of a run: each is complete or absent.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "train/run/checkpoint.h"

namespace tarn::train {

// The checkpoints of one run, under <run>/checkpoints: step_000001000/ and the pointers `latest`
// and `best`, files of one line that name one.
class CheckpointFolder {
 public:
  explicit CheckpointFolder(std::filesystem::path folder) : folder_(std::move(folder)) {}

  // Writes step_N and then moves `latest` to it, and `best` if the state's best step is this one.
  // A crash at any point leaves the earlier checkpoints and pointers; a failure throws IoError and
  // does the same. Then removes what `keep_last` and `best` do not protect.
  void save(const TrainState& state, const std::string& config_toml, const nn::Module& model,
            const optim::Optimizer& optimizer, std::int64_t keep_last) const;

  std::optional<std::filesystem::path> latest() const;
  std::optional<std::filesystem::path> best() const;

  // Makes the checkpoint of this state the latest: removes those after it, which belong to a future
  // that will be made again, and what an interrupted save left behind.
  void rewind_to(const TrainState& state) const;
  void clear() const;  // removes every checkpoint and what is left of any

 private:
  std::optional<std::filesystem::path> pointed(const char* pointer) const;
  std::vector<std::string> names(const char* prefix) const;  // that begin so, oldest first
  void remove(const std::string& name) const;
  void prune(const std::string& newest, std::int64_t keep_last) const;

  std::filesystem::path folder_;
};

// The checkpoint that a user's path means: a checkpoint, or a run (its best if `prefer_best` and
// there is one, else its latest). Throws IoError that says what was looked for.
std::filesystem::path find_checkpoint(const std::filesystem::path& run_or_checkpoint,
                                      bool prefer_best);

}  // namespace tarn::train
