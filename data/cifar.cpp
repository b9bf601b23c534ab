#include "data/cifar.h"

#include "core/check.h"
#include "core/io/file.h"

namespace tarn::data {

ImageSet parse_cifar(std::string_view bytes, const std::string& source) {
  constexpr ImageShape kShape{32, 32, 3};
  constexpr std::size_t kPixels = 1024, kRecord = 1 + 3 * kPixels;
  constexpr int kLargestLabel = 9;
  const std::size_t count = bytes.size() / kRecord;
  TARN_CHECK_AS(IoError, count * kRecord == bytes.size() && count > 0, source, ": has ",
                bytes.size(), " bytes: ", count, " records of ", kRecord, " and ",
                bytes.size() - count * kRecord, " bytes more; expected one record or more, whole");
  ImageSet set{kShape, static_cast<std::int64_t>(count), {}, {}};
  set.labels.reserve(count);
  set.pixels.resize(count * 3 * kPixels);
  std::uint8_t* to = set.pixels.data();
  for (std::size_t i = 0; i < count; ++i) {
    const std::string_view record = bytes.substr(i * kRecord, kRecord);
    const auto label = static_cast<std::uint8_t>(record[0]);
    TARN_CHECK_AS(IoError, label <= kLargestLabel, source, ": record ", i, " has the label ",
                  static_cast<int>(label), "; CIFAR-10's are 0 to ", kLargestLabel);
    set.labels.push_back(label);
    for (std::size_t pixel = 0; pixel < kPixels; ++pixel) {
      for (std::size_t channel = 0; channel < 3; ++channel) {
        *to++ = static_cast<std::uint8_t>(record[1 + channel * kPixels + pixel]);
      }
    }
  }
  return set;
}

ImageSet read_cifar(const std::filesystem::path& file) {
  return parse_cifar(read_file(file), file.string());
}

}  // namespace tarn::data
