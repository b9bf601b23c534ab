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

// A tensor to be filled in place from a file. One that is not required is computed already; where
// the file has it in the same shape and type, the file's is taken, so that a model has the very
// bits that another machine computed.
struct ExpectedTensor {
  std::string name;
  Tensor target;
  bool required = true;
};
std::vector<ExpectedTensor> expected_tensors(const nn::Module& model);  // buffers are not required

// Fills the targets from the tensors called prefix + name, of which F64, F16 and BF16 are converted
// for a target of f32. When a required one is missing or of another shape or dtype, nothing is
// filled, and the IoError lists all of them at once. Returns what a reader should know, in a line:
// what was converted, and what is not taken from the file; empty if the file is as expected.
std::string load_tensors(const SafetensorsFile& file, const std::string& prefix,
                         const std::vector<ExpectedTensor>& expected);

// Fills the model from the weights that a user names: a folder, which is a run (its best
// checkpoint) or a checkpoint; or FILE[:PREFIX], a safetensors file and what precedes the
// parameters' names in it. What load_tensors() says of such a file is a note on standard error.
// Throws IoError for what is absent, does not fit or is not finite, and ConfigError for a
// checkpoint of data that differs from these facts: its model.safetensors can be named as any file,
// of whose data nothing is known.
void load_weights(const std::string& source, nn::Module& model, const DataFacts& facts);

}  // namespace tarn::train
