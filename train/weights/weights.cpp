#include "train/weights/weights.h"

#include "autograd/tape.h"
#include "core/transfer.h"
#include "train/run/checkpoint_folder.h"

namespace tarn::train {

namespace fs = std::filesystem;

NamedTensors named_tensors(const nn::Module& model) {
  NamedTensors tensors;
  for (const nn::Buffer& buffer : model.buffers()) tensors.emplace_back(buffer.name, buffer.value);
  for (const ad::Parameter* parameter : model.parameters()) {
    tensors.emplace_back(parameter->name(), parameter->value());
  }
  return tensors;
}

std::vector<Wanted> wanted_tensors(const nn::Module& model) {
  std::vector<Wanted> wanted;
  for (const nn::Buffer& buffer : model.buffers()) {
    wanted.push_back({buffer.name, buffer.value, false});
  }
  for (const ad::Parameter* parameter : model.parameters()) {
    wanted.push_back({parameter->name(), parameter->value(), true});
  }
  return wanted;
}

void load_tensors(const SafetensorsFile& file, const std::string& prefix,
                  const std::vector<Wanted>& wanted) {
  std::string problems;
  for (const Wanted& want : wanted) {
    const SafetensorsFile::Entry* entry = file.find(prefix + want.name);
    if (entry == nullptr) {
      if (want.required) problems += message("\n  ", want.name, " is missing");
    } else if (entry->dtype != want.target.dtype() || entry->shape != want.target.shape()) {
      problems += message("\n  ", want.name, " is ", name_of(entry->dtype), " ", entry->shape,
                          " in the file and ", want.target.str(), " in the model");
    }
  }
  TARN_CHECK_AS(IoError, problems.empty(), file.path().string(),
                prefix.empty() ? "" : message(" (tensors under \"", prefix, "\")"),
                " does not fit the model of this config:", problems);
  for (const Wanted& want : wanted) {
    if (file.find(prefix + want.name) == nullptr) continue;
    copy_into(copy_to(file.read(prefix + want.name), want.target.device()), want.target);
  }
}

void load_weights(const std::string& source, nn::Module& model) {
  if (names_checkpoint(source)) {
    open_checkpoint(source, Prefer::best, Checkpoint::Use::model).load_model(model);
  } else {
    // FILE:PREFIX, unless a file of the whole name exists.
    const std::size_t colon = fs::exists(source) ? std::string::npos : source.rfind(':');
    const std::string prefix = colon == std::string::npos ? "" : source.substr(colon + 1);
    load_tensors(SafetensorsFile(source.substr(0, colon)), prefix, wanted_tensors(model));
  }
  for (const ad::Parameter* parameter : model.parameters()) {
    TARN_CHECK_AS(IoError, ad::is_finite(parameter->value()), source, ": ", parameter->name(),
                  " is not finite; take weights of before that, such as an earlier checkpoint's");
  }
}

}  // namespace tarn::train
