// Recorded batches, for `tarn trace`: tensors [steps, batch, length] in a safetensors file.
#pragma once

#include <initializer_list>
#include <string>

#include "core/io/safetensors.h"

namespace tarn::train {

struct RecordedTensor {
  const char* name;
  DType dtype;
};

// How many steps the file holds. IoError that lists every tensor that is missing or not as wanted:
// all have the shape of the first, which is no longer than `longest`, task.sequence_length.
std::int64_t count_recorded(const SafetensorsFile& file, const std::string& task,
                            std::initializer_list<RecordedTensor> wanted, std::int64_t longest);

// One step of a tensor.
Tensor recorded_step(const SafetensorsFile& file, const char* name, std::int64_t index);

// One step of tokens, as i32; recorded ones are 64-bit, as PyTorch has them. IoError unless each is
// 0 .. largest; `meaning` says so: "tokens are 0 to task.symbols = 10".
Tensor recorded_tokens(const SafetensorsFile& file, const char* name, std::int64_t index,
                       std::int64_t largest, const std::string& meaning);

}  // namespace tarn::train
