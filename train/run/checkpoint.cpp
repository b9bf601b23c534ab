#include "train/run/checkpoint.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <vector>

#include "core/build_info.h"
#include "core/io/file.h"
#include "core/io/json.h"
#include "kernels/backend.h"
#include "train/weights/weights.h"

namespace tarn::train {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr int kFormat = 1;
constexpr const char* kModelFile = "model.safetensors";
constexpr const char* kOptimizerFile = "optimizer.safetensors";
constexpr const char* kConfigFile = Checkpoint::kConfigFile;
constexpr const char* kStateFile = Checkpoint::kStateFile;
constexpr std::array kRecordedFiles = {kModelFile, kOptimizerFile, kConfigFile};

json file_record(const fs::path& file) {
  return {{"bytes", fs::file_size(file)}, {"crc32", crc32_of_file(file)}};
}

// The checksum in state.json of state.json itself: of the text of everything else in it.
std::uint32_t checksum_of(json record) {
  record.erase("crc32");
  return crc32_of(record.dump());
}

void check_state(const fs::path& file, const json& record) {
  const json& format = record.at("format");
  TARN_CHECK_AS(IoError, format == kFormat, file.string(), ": format ", format.dump(),
                ", and this tarn reads format ", kFormat);
  TARN_CHECK_AS(IoError, checksum_of(record) == record.at("crc32").get<std::uint32_t>(),
                file.string(), " is corrupt: its checksum is not that of its content");
}

InputFile open_file(const fs::path& file) {
  TARN_CHECK_AS(IoError, fs::exists(file), file.string(), " is missing from the checkpoint");
  return InputFile(file);
}

std::string text_of(const InputFile& file) {
  std::string text(static_cast<std::size_t>(file.size()), '\0');
  file.read(0, std::as_writable_bytes(std::span(text)));
  return text;
}

// Compares a file with its entry under "files" in state.json.
void check_file(const InputFile& file, const json& record) {
  const json& entry = record.at("files").at(file.path().filename().string());
  const auto expected = entry.at("bytes").get<std::int64_t>();
  TARN_CHECK_AS(IoError, file.size() == expected, file.path().string(),
                " is truncated or overwritten: ", file.size(), " bytes, where the checkpoint has ",
                expected);
  TARN_CHECK_AS(IoError, crc32_of_file(file) == entry.at("crc32").get<std::uint32_t>(),
                file.path().string(), " is corrupt: its checksum is not the checkpoint's");
}

void write_whole(const fs::path& file, std::string_view content) {
  write_file(file, {&content, 1});
}

}  // namespace

json state_json(const TrainState& state, const optim::Optimizer& optimizer) {
  const kernels::CpuBackend cpu = kernels::cpu_backend();
  return {{"format", kFormat},
          {"step", state.step},
          {"updates", optimizer.updates()},
          {"metrics_bytes", state.metrics_bytes},
          {"plateau",
           {{"best", state.plateau.best},
            {"any", state.plateau.any},
            {"bad_evaluations", state.plateau.bad_evaluations},
            {"factor", state.plateau.factor}}},
          {"best", state.best ? json(*state.best) : json(nullptr)},
          {"best_step", state.best_step},
          {"lowest", state.lowest ? json(*state.lowest) : json(nullptr)},
          {"lowest_step", state.lowest_step},
          {"evaluation_due", state.evaluation_due},
          {"data", state.data},
          {"made_by",
           {{"tarn", kVersion},
            {"commit", kGitCommit},
            {"processor", cpu.processor},
            {"instruction_set", cpu.instruction_set},
            {"blas", cpu.blas + " " + cpu.blas_core},
            {"threads", cpu.threads}}}};
}

TrainState state_from_json(const json& j) {
  TrainState state;
  state.step = j.at("step");
  state.metrics_bytes = j.at("metrics_bytes");
  const json& plateau = j.at("plateau");
  state.plateau = {plateau.at("best"), plateau.at("any"), plateau.at("bad_evaluations"),
                   plateau.at("factor")};
  const auto value = [&j](const char* key) {
    return j.at(key).is_null() ? std::nullopt : std::optional(j.at(key).get<double>());
  };
  state.best = value("best");
  state.best_step = j.at("best_step");
  // Older checkpoints have one pair for both.
  state.lowest = value(j.contains("lowest") ? "lowest" : "best");
  state.lowest_step = j.value("lowest_step", state.best_step);
  state.evaluation_due = j.value("evaluation_due", false);  // absent before 0.2
  state.data = j.value("data", DataFacts{});                // nor this
  return state;
}

void write_checkpoint(const fs::path& directory, const TrainState& state,
                      const std::string& config_toml, const nn::Module& model,
                      const optim::Optimizer& optimizer) {
  make_directories(directory);
  NamedTensors moments;
  for (const optim::NamedState& moment : optimizer.state()) {
    moments.emplace_back(moment.name, moment.value);
  }
  write_safetensors(directory / kModelFile, named_tensors(model));
  write_safetensors(directory / kOptimizerFile, moments);
  write_whole(directory / kConfigFile, config_toml);
  write_state(directory, state, optimizer);
}

void write_state(const fs::path& directory, const TrainState& state,
                 const optim::Optimizer& optimizer) {
  json record = state_json(state, optimizer);
  for (const char* file : kRecordedFiles) {
    record["files"][file] = file_record(directory / file);
  }
  record["crc32"] = checksum_of(record);
  write_file_atomically(directory / kStateFile, record.dump(2) + "\n");
}

fs::path config_file_of(const fs::path& directory) { return directory / kConfigFile; }

bool is_checkpoint_file(std::string_view name) {
  const auto is = [&](const char* file) { return name == file || is_temporary_of(file, name); };
  return is(kStateFile) || std::any_of(kRecordedFiles.begin(), kRecordedFiles.end(), is);
}

Checkpoint::Checkpoint(fs::path directory, Use use) : directory_(std::move(directory)) {
  const fs::path state_file = directory_ / kStateFile;
  TARN_CHECK_AS(IoError, fs::exists(state_file), directory_.string(),
                " is not a checkpoint: it has no ", kStateFile);
  const std::string state_text = read_file(state_file);
  const InputFile config = open_file(config_file_of(directory_));
  std::optional<InputFile> model, optimizer;
  if (use != Use::state) model.emplace(open_file(directory_ / kModelFile));
  if (use == Use::all) optimizer.emplace(open_file(directory_ / kOptimizerFile));
  const json record = parse_json(state_text, state_file.string());
  try {
    check_state(state_file, record);
    check_file(config, record);
    if (model) check_file(*model, record);
    if (optimizer) check_file(*optimizer, record);
    state_ = state_from_json(record);
    updates_ = record.at("updates");
    for (const auto& [key, value] : record.at("made_by").items()) {
      made_by_.emplace_back(key, value.is_string() ? value.get<std::string>() : value.dump());
    }
  } catch (const json::exception& error) {
    fail<IoError>(state_file.string(), " is not a checkpoint's state: ", error.what());
  }
  config_toml_ = text_of(config);
  if (model) model_.emplace(std::move(*model));
  if (optimizer) optimizer_.emplace(std::move(*optimizer));
}

Config Checkpoint::config(const std::vector<std::string>& overrides) const {
  return parse_config(config_toml_, config_file_of(directory_).string(), overrides);
}

namespace {

std::int64_t numbers_in(const SafetensorsFile& file) {
  std::int64_t numbers = 0;
  for (const SafetensorsFile::Entry& entry : file.entries()) numbers += entry.shape.elements();
  return numbers;
}

}  // namespace

std::string Checkpoint::summary() const {
  std::string text =
      message("checkpoint ", directory_.string(), "\n  step: ", state_.step,
              "\n  tensors: ", model_->entries().size(), " of ", numbers_in(*model_), " numbers\n");
  if (state_.best) text += message("  best: ", *state_.best, " at step ", state_.best_step, "\n");
  for (const auto& [fact, value] : state_.data) text += message("  ", fact, ": ", value, "\n");
  for (const auto& [key, value] : made_by_) text += message("  ", key, ": ", value, "\n");
  return text;
}

nlohmann::ordered_json Checkpoint::summary_json() const {
  nlohmann::ordered_json summary{{"checkpoint", directory_.string()},
                                 {"step", state_.step},
                                 {"tensors", model_->entries().size()},
                                 {"numbers", numbers_in(*model_)},
                                 {"best", nullptr},
                                 {"best_step", nullptr},
                                 {"data", state_.data},
                                 {"made_by", nlohmann::ordered_json::object()}};
  if (state_.best) {
    summary["best"] = *state_.best;
    summary["best_step"] = state_.best_step;
  }
  for (const auto& [key, value] : made_by_) summary["made_by"][key] = value;
  return summary;
}

void Checkpoint::load_model(nn::Module& model) const {
  load_tensors(*model_, "", expected_tensors(model));
}

void Checkpoint::load_optimizer(optim::Optimizer& optimizer) const {
  std::vector<ExpectedTensor> expected;
  for (const optim::NamedState& moment : optimizer.state()) {
    expected.push_back({moment.name, moment.value, true});
  }
  load_tensors(*optimizer_, "", expected);
  optimizer.set_updates(updates_);
}

}  // namespace tarn::train
