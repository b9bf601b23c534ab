// Parameters between a model and a safetensors file.
#pragma once

#include <string>
#include <vector>

#include "core/io/safetensors.h"
#include "nn/module.h"
#include "train/tasks/data_facts.h"

namespace tarn::train {

// Every parameter and buffer of a model by name, buffers first, as the authors' library has it.
NamedTensors named_tensors(const nn::Module& model);

// A tensor that a file must hold, to be filled in place; or one that is computed already, and is
// taken from a file that has it as it is here (the same to the bit where another machine computed
// it).
struct Wanted {
  std::string name;
  Tensor target;
  bool required = true;
};
std::vector<Wanted> wanted_tensors(const nn::Module& model);  // buffers are not required

// Fills the targets from the tensors called prefix + name, of which F64, F16 and BF16 are converted
// for a target of f32. When a required one is missing or of another shape or dtype, nothing is
// filled, and the IoError lists all of them at once. Returns what a reader should know, in a line:
// what was converted, and what is not taken from the file; empty if it is all as it was wanted.
std::string load_tensors(const SafetensorsFile& file, const std::string& prefix,
                         const std::vector<Wanted>& wanted);

// Fills the model from the weights that a user names: a folder, which is a run (its best
// checkpoint) or a checkpoint; or FILE[:PREFIX], a safetensors file and what precedes the
// parameters' names in it. What load_tensors() says of such a file is a note on standard error.
// Throws IoError for what is absent, does not fit or is not finite, and ConfigError for a
// checkpoint of data that differs from these facts: its model.safetensors can be named as any file,
// of whose data nothing is known.
void load_weights(const std::string& source, nn::Module& model, const DataFacts& facts);

}  // namespace tarn::train
