#include "train/run/checkpoint.h"

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
constexpr const char* kConfigFile = "config.toml";
constexpr const char* kStateFile = Checkpoint::kStateFile;

json file_record(const fs::path& file) {
  return {{"bytes", fs::file_size(file)}, {"crc32", crc32_of_file(file)}};
}

json to_json(const TrainState& state, const optim::Optimizer& optimizer) {
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
          {"made_by",
           {{"tarn", kVersion},
            {"commit", kGitCommit},
            {"processor", cpu.processor},
            {"instruction_set", cpu.instruction_set},
            {"blas", cpu.blas + " " + cpu.blas_core},
            {"threads", cpu.threads}}}};
}

TrainState state_from(const json& j) {
  TrainState state;
  state.step = j.at("step");
  state.metrics_bytes = j.at("metrics_bytes");
  const json& plateau = j.at("plateau");
  state.plateau = {plateau.at("best"), plateau.at("any"), plateau.at("bad_evaluations"),
                   plateau.at("factor")};
  if (!j.at("best").is_null()) state.best = j.at("best").get<double>();
  state.best_step = j.at("best_step");
  return state;
}

// state.json's own checksum: of the text that everything else in it makes.
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

void check_file(const fs::path& file, const json& record) {
  std::error_code error;
  const auto bytes = fs::file_size(file, error);
  TARN_CHECK_AS(IoError, !error, file.string(), " is missing from the checkpoint");
  const auto wanted = record.at("bytes").get<std::uintmax_t>();
  TARN_CHECK_AS(IoError, bytes == wanted, file.string(), " is truncated or overwritten: ", bytes,
                " bytes, where the checkpoint has ", wanted);
  TARN_CHECK_AS(IoError, crc32_of_file(file) == record.at("crc32").get<std::uint32_t>(),
                file.string(), " is corrupt: its checksum is not the checkpoint's");
}

void write_whole(const fs::path& file, std::string_view content) {
  write_file(file, {&content, 1});
}

}  // namespace

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
  json record = to_json(state, optimizer);
  for (const char* file : {kModelFile, kOptimizerFile, kConfigFile}) {
    record["files"][file] = file_record(directory / file);
  }
  record["crc32"] = checksum_of(record);
  write_whole(directory / kStateFile, record.dump(2) + "\n");
}

Checkpoint::Checkpoint(fs::path directory) : directory_(std::move(directory)) {
  const fs::path state_file = directory_ / kStateFile;
  TARN_CHECK_AS(IoError, fs::exists(state_file), directory_.string(),
                " is not a checkpoint: it has no ", kStateFile);
  const json record = read_json(state_file);
  try {
    check_state(state_file, record);
    for (const char* file : {kModelFile, kOptimizerFile, kConfigFile}) {
      check_file(directory_ / file, record.at("files").at(file));
    }
    state_ = state_from(record);
    updates_ = record.at("updates");
    for (const auto& [key, value] : record.at("made_by").items()) {
      made_by_ += message("  ", key, ": ",
                          value.is_string() ? value.get<std::string>() : value.dump(), "\n");
    }
  } catch (const json::exception& error) {
    fail<IoError>(state_file.string(), " is not a checkpoint's state: ", error.what());
  }
  config_toml_ = read_file(directory_ / kConfigFile);
}

std::string Checkpoint::summary() const {
  const SafetensorsFile model(directory_ / kModelFile);
  std::int64_t numbers = 0;
  for (const SafetensorsFile::Entry& entry : model.entries()) numbers += entry.shape.elements();
  std::string text =
      message("checkpoint ", directory_.string(), "\n  step: ", state_.step,
              "\n  tensors: ", model.entries().size(), " of ", numbers, " numbers\n");
  if (state_.best) text += message("  best: ", *state_.best, " at step ", state_.best_step, "\n");
  return text + made_by_;
}

void Checkpoint::load_model(nn::Module& model) const {
  load_tensors(SafetensorsFile(directory_ / kModelFile), "", wanted_tensors(model));
}

void Checkpoint::load_optimizer(optim::Optimizer& optimizer) const {
  std::vector<Wanted> wanted;
  for (const optim::NamedState& moment : optimizer.state()) {
    wanted.push_back({moment.name, moment.value, true});
  }
  load_tensors(SafetensorsFile(directory_ / kOptimizerFile), "", wanted);
  optimizer.set_updates(updates_);
}

}  // namespace tarn::train
