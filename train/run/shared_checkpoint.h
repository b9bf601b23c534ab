// The checkpoint whose model several processes use. The first alone reads it, so that it may lie on
// a disk of its own, and all have the same one while a run makes others.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "train/config/config.h"
#include "train/distributed/communicator.h"
#include "train/run/checkpoint.h"

namespace tarn::train {

class SharedCheckpoint {
 public:
  // The checkpoint that a user's path means: of a run the best. To be called by all processes, as
  // is load_model(). Throws as open_checkpoint() does.
  SharedCheckpoint(const std::filesystem::path& given, Communicator& ranks);

  const std::string& name() const { return name_; }  // its folder
  std::int64_t step() const { return step_; }
  const DataFacts& data() const { return data_; }
  // The run's config, with these "section.key=value" over it. ConfigError.
  Config config(const std::vector<std::string>& overrides = {}) const;
  // Fills the model, of which each process has one; all that does not fit is listed at once.
  void load_model(nn::Module& model) const;

 private:
  Communicator& ranks_;
  std::optional<Checkpoint> opened_;  // by the first process
  std::string name_, config_toml_;
  std::int64_t step_ = 0;
  DataFacts data_;
};

}  // namespace tarn::train
