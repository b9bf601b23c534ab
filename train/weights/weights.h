// Parameters between a model and a safetensors file.
#pragma once

#include <string>
#include <vector>

#include "core/io/safetensors.h"
#include "nn/module.h"

namespace tarn::train {

// Every parameter and buffer of a model by name, buffers first, as the authors' library has it.
NamedTensors named_tensors(const nn::Module& model);

// A tensor that a file must (or may) hold, to be filled in place.
struct Wanted {
  std::string name;
  Tensor target;
  bool required = true;
};
std::vector<Wanted> wanted_tensors(const nn::Module& model);  // buffers are not required

// Fills the targets from the tensors called prefix + name. When any is missing or of another shape
// or dtype, nothing is filled, and the IoError lists all of them at once.
void load_tensors(const SafetensorsFile& file, const std::string& prefix,
                  const std::vector<Wanted>& wanted);

// Fills the model from the weights that a user names: a folder, which is a run (its best
// checkpoint) or a checkpoint; or FILE[:PREFIX], a safetensors file and what precedes the
// parameters' names in it. Throws IoError for what is absent, does not fit or is not finite.
void load_weights(const std::string& source, nn::Module& model);

}  // namespace tarn::train
