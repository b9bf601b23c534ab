#include "train/run/shared_checkpoint.h"

#include <nlohmann/json.hpp>

#include "core/io/json.h"
#include "train/run/checkpoint_folder.h"
#include "train/weights/weights.h"

namespace tarn::train {

SharedCheckpoint::SharedCheckpoint(const std::filesystem::path& given, Communicator& ranks)
    : ranks_(ranks) {
  std::string state = "null";
  ranks.together([&] {
    if (!ranks.first()) return;
    opened_.emplace(open_checkpoint(given, Prefer::best, Checkpoint::Use::model));
    name_ = opened_->directory().string();
    config_toml_ = opened_->config_toml();
    state = nlohmann::json{{"step", opened_->state().step}, {"data", opened_->state().data}}.dump();
  });
  name_ = ranks.broadcast(name_);
  config_toml_ = ranks.broadcast(config_toml_);
  const nlohmann::json known = parse_json(ranks.broadcast(state), "the first process");
  step_ = known.at("step");
  data_ = known.at("data");
}

Config SharedCheckpoint::config(const std::vector<std::string>& overrides) const {
  return parse_config(config_toml_, config_file_of(name_).string(), overrides);
}

void SharedCheckpoint::load_model(nn::Module& model) const {
  ranks_.together([&] {
    if (opened_) opened_->load_model(model);
  });
  for (const auto& [name, tensor] : named_tensors(model)) ranks_.broadcast(tensor);
}

}  // namespace tarn::train
