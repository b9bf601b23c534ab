// Recorded batches, for `tarn trace`: tensors of a safetensors file whose first size is the step.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/io/safetensors.h"

namespace tarn::train {

// Each size is a number, or a name ("batch"), which is the same number wherever it stands.
struct RecordedTensor {
  const char* name;
  DType dtype;
  std::vector<std::string> sizes;
};

// How many steps the file holds, the first size of each tensor. IoError that lists every tensor
// that is missing or not as expected, and a size named "length" above `longest`,
// task.sequence_length.
std::int64_t count_recorded(const SafetensorsFile& file, const std::string& task,
                            const std::vector<RecordedTensor>& expected, std::int64_t longest = 0);

// One step of a tensor.
Tensor recorded_step(const SafetensorsFile& file, const char* name, std::int64_t index);

struct RecordedRange {
  std::int64_t smallest = 0, largest = 0;
};

// One step of whole numbers, as i32; recorded ones are 64-bit, as PyTorch has them. IoError unless
// each is in the range; `meaning` says so: "tokens are 0 to task.symbols = 10".
Tensor recorded_tokens(const SafetensorsFile& file, const char* name, std::int64_t index,
                       RecordedRange range, const std::string& meaning);

}  // namespace tarn::train
