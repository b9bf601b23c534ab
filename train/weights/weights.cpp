#include "train/weights/weights.h"

#include <cstdio>
#include <map>

#include "autograd/tape.h"
#include "core/io/stored_floats.h"
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

std::vector<ExpectedTensor> expected_tensors(const nn::Module& model) {
  std::vector<ExpectedTensor> expected;
  for (const nn::Buffer& buffer : model.buffers()) {
    expected.push_back({buffer.name, buffer.value, false});
  }
  for (const ad::Parameter* parameter : model.parameters()) {
    expected.push_back({parameter->name(), parameter->value(), true});
  }
  return expected;
}

std::string load_tensors(const SafetensorsFile& file, const std::string& prefix,
                         const std::vector<ExpectedTensor>& expected) {
  std::string problems, notes;
  std::vector<const ExpectedTensor*> fitting;
  std::map<std::string, int> converted;
  for (const ExpectedTensor& tensor : expected) {
    const SafetensorsFile::Entry* entry = file.find(prefix + tensor.name);
    if (entry == nullptr) {
      if (tensor.required) problems += message("\n  ", tensor.name, " is missing");
    } else if (entry->shape == tensor.target.shape() && entry->holds(tensor.target.dtype())) {
      fitting.push_back(&tensor);
    } else if (!tensor.required) {
      notes += message("; ", tensor.name, " is ", entry->str(), " there, and computed instead");
    } else if (entry->shape == tensor.target.shape() && tensor.target.dtype() == DType::f32 &&
               is_stored_float(entry->stored)) {
      fitting.push_back(&tensor);
      ++converted[entry->stored];
    } else {
      problems += message("\n  ", tensor.name, " is ", entry->str(), " in the file and ",
                          tensor.target.str(), " in the model");
    }
  }
  TARN_CHECK_AS(IoError, problems.empty(), file.path().string(),
                prefix.empty() ? "" : message(" (tensors under \"", prefix, "\")"),
                " does not fit the model of this config:", problems);
  for (const ExpectedTensor* tensor : fitting) {
    const std::string name = prefix + tensor->name;
    const bool f32 = tensor->target.dtype() == DType::f32;
    const Tensor value = f32 ? file.read_f32(name) : file.read(name);
    copy_into(copy_to(value, tensor->target.device()), tensor->target);
  }
  for (const auto& [stored, count] : converted) {
    notes += message("; ", count, count == 1 ? " tensor of " : " tensors of ", stored,
                     " converted to f32");
  }
  return notes.empty() ? "" : notes.substr(2);
}

void load_weights(const std::string& source, nn::Module& model, const DataFacts& facts) {
  if (names_checkpoint(source)) {
    const Checkpoint checkpoint = open_checkpoint(source, Prefer::best, Checkpoint::Use::model);
    check_same_data(checkpoint.state().data, facts, checkpoint.directory().string());
    checkpoint.load_model(model);
  } else {
    // FILE:PREFIX, unless a file of the whole name exists.
    const std::size_t colon = fs::exists(source) ? std::string::npos : source.rfind(':');
    const std::string prefix = colon == std::string::npos ? "" : source.substr(colon + 1);
    const SafetensorsFile file(source.substr(0, colon));
    const std::string note = load_tensors(file, prefix, expected_tensors(model));
    if (!note.empty()) {
      std::fprintf(stderr, "note: %s: %s\n", file.path().c_str(), note.c_str());
    }
  }
  if (const ad::Parameter* parameter = ad::find_nonfinite(model.parameters())) {
    fail<IoError>(source, ": ", parameter->name(),
                  " is not finite; take weights of before that, such as an earlier checkpoint's");
  }
}

}  // namespace tarn::train
