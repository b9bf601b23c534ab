// The checkpoints of a run: each is complete or absent.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "train/run/checkpoint.h"

namespace tarn::train {

// The checkpoints of one run, under <run>/checkpoints: step_000001000/ and the pointers `latest`
// and `best`, files of one line that name one. Nothing is ever removed that a run did not write: a
// checkpoint is a folder of such a name with state.json and none but a checkpoint's files.
class CheckpointFolder {
 public:
  explicit CheckpointFolder(std::filesystem::path folder) : folder_(std::move(folder)) {}

  // Writes step_N and then moves `latest` to it, and `best` if the state's best step is this one.
  // A crash at any point leaves the earlier checkpoints and pointers; a failure throws IoError and
  // does the same. Then removes what `keep_last` and `best` do not protect. Where step_N is there
  // already, without the evaluation after the step, its state is replaced alone.
  void save(const TrainState& state, const std::string& config_toml, const nn::Module& model,
            const optim::Optimizer& optimizer, std::int64_t keep_last) const;

  // What the pointers name; nothing where there is no pointer. Throws where it names no checkpoint.
  std::optional<std::filesystem::path> latest() const;
  std::optional<std::filesystem::path> best() const;

  // The complete ones, by their steps.
  std::map<std::int64_t, std::filesystem::path> all() const;

  // Makes the checkpoint of this state the latest: removes those after it, which belong to a future
  // that will be made again, and what an interrupted save left behind. A kill at any point leaves a
  // folder that can be rewound again. The best checkpoint that the state knows of may be gone, when
  // a later one replaced it; then the best of those that are there takes its place, or none does,
  // and the state that is returned says so.
  TrainState rewind_to(const TrainState& state) const;

  // Whether nothing is here but what the start of a run makes, and removes that.
  bool holds_only_step_0() const;
  void clear_start() const;

 private:
  std::optional<std::filesystem::path> pointed(const char* pointer) const;
  void point(const char* pointer, std::int64_t step) const;
  std::filesystem::path of_step(std::int64_t step) const;
  std::filesystem::path unfinished(std::int64_t step) const;
  // Everything called like a checkpoint, or like one that is not finished, by its step.
  std::map<std::int64_t, std::filesystem::path> named(const char* prefix) const;
  void remove(std::int64_t step) const;
  void clear_unfinished() const;
  void prune(std::int64_t newest, std::int64_t keep_last) const;
  void find_best(TrainState& state) const;
  bool awaits_evaluation(std::int64_t step) const;
  void write_new(const TrainState& state, const std::string& config_toml, const nn::Module& model,
                 const optim::Optimizer& optimizer) const;

  std::filesystem::path folder_;
};

enum class Prefer { latest, best };

// The checkpoint that a user's path means: a checkpoint, a pointer to one (checkpoints/latest), or
// a run or its checkpoints (the best if that is preferred and there is one, else the latest).
// Throws IoError that says what was looked for.
std::filesystem::path find_checkpoint(const std::filesystem::path& given, Prefer prefer);

// The same, opened. A run may be training there: when it removes the checkpoint before that is
// open, the one that it has made instead is taken.
Checkpoint open_checkpoint(const std::filesystem::path& given, Prefer prefer, Checkpoint::Use use);

// Whether a path means a checkpoint, by being a folder or a pointer, and not any other file.
bool names_checkpoint(const std::filesystem::path& given);

}  // namespace tarn::train
