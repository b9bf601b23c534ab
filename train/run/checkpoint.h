// A checkpoint: a directory that holds everything that a run needs to go on as if it had not
// stopped. docs/checkpoints.md describes the format.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/io/safetensors.h"
#include "nn/module.h"
#include "optim/optimizer.h"
#include "optim/schedule.h"
#include "train/tasks/data_facts.h"

namespace tarn::train {

// The part of a run's state that is neither a weight nor a moment.
struct TrainState {
  std::int64_t step = 0;           // updates done; they also say which batch is the next
  std::int64_t metrics_bytes = 0;  // of metrics.jsonl that belong to these updates
  optim::PlateauState plateau;
  // The evaluation of the best checkpoint, the last one where several are equal.
  std::optional<double> best;
  std::int64_t best_step = 0;
  // The lowest evaluation so far and where it was first, which is what an early stop counts from.
  // The same as `best` but for ties, and when the best checkpoint was lost.
  std::optional<double> lowest;
  std::int64_t lowest_step = 0;
  DataFacts data;               // what the model depends on that only the data says
  bool evaluation_due = false;  // a signal came before the evaluation after this step was made
};

// The state and the optimizer's count of updates, as state.json has them, and back.
nlohmann::json state_json(const TrainState& state, const optim::Optimizer& optimizer);
TrainState state_from_json(const nlohmann::json& state);

// Writes the files of a checkpoint into the directory, which is made if absent; each is synced.
void write_checkpoint(const std::filesystem::path& directory, const TrainState& state,
                      const std::string& config_toml, const nn::Module& model,
                      const optim::Optimizer& optimizer);
// Replaces state.json alone: an evaluation changes the state, and neither weights nor moments.
void write_state(const std::filesystem::path& directory, const TrainState& state,
                 const optim::Optimizer& optimizer);

// The file of a checkpoint's directory that holds the run's config.
std::filesystem::path config_file_of(const std::filesystem::path& directory);

// Whether write_checkpoint() makes files of this name, or leaves them when it is killed.
bool is_checkpoint_file(std::string_view name);

// An opened checkpoint: state.json is read, and the other files' sizes and checksums are compared
// with it. All files are opened first, so that it can be read to its end even if a run that goes on
// removes it meanwhile. Every problem is an IoError that names the file.
class Checkpoint {
 public:
  static constexpr const char* kStateFile = "state.json";
  static constexpr const char* kConfigFile = "config.toml";  // a run's folder has one too

  // Which files are opened and checked: state.json and config.toml alone, the model's too, or all.
  enum class Use { state, model, all };

  explicit Checkpoint(std::filesystem::path directory, Use use = Use::all);

  const std::filesystem::path& directory() const { return directory_; }
  const TrainState& state() const { return state_; }
  // The run's config, with these "section.key=value" over it. ConfigError.
  Config config(const std::vector<std::string>& overrides = {}) const;
  const std::string& config_toml() const { return config_toml_; }
  std::string summary() const;                  // a few lines for a reader; wants the model
  nlohmann::ordered_json summary_json() const;  // the same

  // Fill the model, and the optimizer; all that does not fit is listed at once.
  void load_model(nn::Module& model) const;
  void load_optimizer(optim::Optimizer& optimizer) const;

 private:
  std::filesystem::path directory_;
  TrainState state_;
  std::int64_t updates_ = 0;
  std::string config_toml_;
  std::vector<std::pair<std::string, std::string>> made_by_;
  std::optional<SafetensorsFile> model_, optimizer_;
};

}  // namespace tarn::train
