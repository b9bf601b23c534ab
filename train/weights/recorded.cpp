#include "train/weights/recorded.h"

#include <cctype>
#include <map>

#include "core/transfer.h"

namespace tarn::train {
namespace {

// The sizes that have names, as far as they are known.
class Sizes {
 public:
  // The number, or the name where the number is not known yet.
  std::string text(const std::string& size) const {
    const auto known = numbers_.find(size);
    return known == numbers_.end() ? size : std::to_string(known->second);
  }
  std::string text(const RecordedTensor& tensor) const {
    std::string out;
    for (const std::string& size : tensor.sizes) out += (out.empty() ? "" : ", ") + text(size);
    return message(name_of(tensor.dtype), " [", out, "]");
  }

  std::int64_t number(const std::string& name) const {
    const auto known = numbers_.find(name);
    return known == numbers_.end() ? 0 : known->second;
  }

  // Whether the tensor has this shape; names get the numbers of the first that has their rank.
  bool fit(const RecordedTensor& tensor, const Shape& shape) {
    if (shape.rank() != static_cast<int>(tensor.sizes.size())) return false;
    bool same = true;
    for (int i = 0; i < shape.rank(); ++i) {
      const std::string& size = tensor.sizes[static_cast<std::size_t>(i)];
      if (std::isdigit(static_cast<unsigned char>(size[0])) == 0) numbers_.emplace(size, shape[i]);
      same = same && text(size) == std::to_string(shape[i]);
    }
    return same;
  }

 private:
  std::map<std::string, std::int64_t> numbers_;
};

}  // namespace

std::int64_t count_recorded(const SafetensorsFile& file, const std::string& task,
                            const std::vector<RecordedTensor>& expected, std::int64_t longest) {
  std::string problems, contents;
  Sizes sizes;
  for (const RecordedTensor& want : expected) {
    contents += message(contents.empty() ? "" : ", ", want.name, " ", Sizes().text(want));
    const SafetensorsFile::Entry* entry = file.find(want.name);
    if (entry == nullptr) {
      problems += message("\n  ", want.name, " is missing");
    } else if (!sizes.fit(want, entry->shape) || !entry->holds(want.dtype)) {
      problems += message("\n  ", want.name, " is ", entry->str(), ", expected ", sizes.text(want));
    }
  }
  if (const std::int64_t length = sizes.number("length"); length > longest) {
    problems += message("\n  ", expected.front().name, " has ", length,
                        " positions; task.sequence_length is ", longest);
  }
  TARN_CHECK_AS(IoError, problems.empty(), file.path().string(), ": recorded batches of the ", task,
                " task are ", contents, problems);
  return sizes.number("steps");
}

Tensor recorded_step(const SafetensorsFile& file, const char* name, std::int64_t index) {
  return copy_to(file.read(name).select(0, index), Device::cpu());
}

Tensor recorded_tokens(const SafetensorsFile& file, const char* name, std::int64_t index,
                       RecordedRange range, const std::string& meaning) {
  const Tensor wide = recorded_step(file, name, index);
  Tensor out = Tensor::empty(wide.shape(), DType::i32, Device::cpu());
  for (std::int64_t i = 0; i < wide.elements(); ++i) {
    const std::int64_t token = wide.data<std::int64_t>()[i];
    TARN_CHECK_AS(IoError, token >= range.smallest && token <= range.largest, file.path().string(),
                  ": ", name, " holds ", token, "; ", meaning);
    out.mutable_data<std::int32_t>()[i] = static_cast<std::int32_t>(token);
  }
  return out;
}

}  // namespace tarn::train
