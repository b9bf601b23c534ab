// Checkpoints: directories that are complete or absent, and hold everything that a run needs to go
// on as if it had not stopped. docs/checkpoints.md describes the format.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "nn/module.h"
#include "optim/optimizer.h"
#include "optim/schedule.h"

namespace tarn::train {

// What is neither a weight nor a moment.
struct TrainState {
  std::int64_t step = 0;           // updates done; they also say which batch is the next
  std::int64_t metrics_bytes = 0;  // of metrics.jsonl that belong to these updates
  optim::PlateauState plateau;
  std::optional<double> best;  // the best evaluation so far, and where it was
  std::int64_t best_step = 0;
};

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

// An opened checkpoint: state.json is read, and the other files' sizes and checksums are compared
// with it. Every problem is an IoError that names the file.
class Checkpoint {
 public:
  explicit Checkpoint(std::filesystem::path directory);

  const std::filesystem::path& directory() const { return directory_; }
  const TrainState& state() const { return state_; }
  const std::string& config_toml() const { return config_toml_; }
  std::string summary() const;  // a few lines for a reader

  // Fill the model, and the optimizer; all that does not fit is listed at once.
  void load_model(nn::Module& model) const;
  void load_optimizer(optim::Optimizer& optimizer) const;

 private:
  std::filesystem::path directory_;
  TrainState state_;
  std::int64_t updates_ = 0;
  std::string config_toml_;
  std::string made_by_;
};

// The checkpoint that a user's path means: a checkpoint, or a run (its best if `prefer_best` and
// there is one, else its latest). Throws IoError that says what was looked for.
std::filesystem::path find_checkpoint(const std::filesystem::path& run_or_checkpoint,
                                      bool prefer_best);

}  // namespace tarn::train
