#include "train/recorded.h"

#include "core/transfer.h"

namespace tarn::train {

std::int64_t count_recorded(const SafetensorsFile& file, const std::string& task,
                            std::initializer_list<RecordedTensor> wanted, std::int64_t longest) {
  const char* leader = wanted.begin()->name;
  const SafetensorsFile::Entry* first = file.find(leader);
  const bool shaped = first != nullptr && first->shape.rank() == 3;
  std::string problems, contents;
  for (const RecordedTensor& want : wanted) {
    contents += message(contents.empty() ? "" : ", ", want.name, " (", name_of(want.dtype), ")");
    const SafetensorsFile::Entry* entry = file.find(want.name);
    if (entry == nullptr) {
      problems += message("\n  ", want.name, " is missing");
    } else if (entry->dtype != want.dtype || entry->shape.rank() != 3 ||
               (shaped && entry->shape != first->shape)) {
      problems +=
          message("\n  ", want.name, " is ", name_of(entry->dtype), " ", entry->shape, ", wanted ",
                  name_of(want.dtype), shaped ? message(" ", first->shape) : "");
    }
  }
  if (shaped && first->shape[2] > longest) {
    problems += message("\n  ", leader, " has ", first->shape[2],
                        " positions; task.sequence_length is ", longest);
  }
  TARN_CHECK_AS(IoError, problems.empty(), file.path().string(), ": recorded batches of the ", task,
                " task are ", contents, ", each [steps, batch, length]", problems);
  return first->shape[0];
}

Tensor recorded_step(const SafetensorsFile& file, const char* name, std::int64_t index) {
  return copy_to(file.read(name).select(0, index), Device::cpu());
}

Tensor recorded_tokens(const SafetensorsFile& file, const char* name, std::int64_t index,
                       std::int64_t largest, const std::string& meaning) {
  const Tensor wide = recorded_step(file, name, index);
  Tensor out = Tensor::empty(wide.shape(), DType::i32, Device::cpu());
  for (std::int64_t i = 0; i < wide.elements(); ++i) {
    const std::int64_t token = wide.data<std::int64_t>()[i];
    TARN_CHECK_AS(IoError, token >= 0 && token <= largest, file.path().string(), ": ", name,
                  " holds ", token, "; ", meaning);
    out.mutable_data<std::int32_t>()[i] = static_cast<std::int32_t>(token);
  }
  return out;
}

}  // namespace tarn::train
