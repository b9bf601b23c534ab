#include "data/copy_task.h"

namespace tarn::data {

CopyTask::CopyTask(const CopyTaskOptions& options) : options_(options) {
  TARN_CHECK_AS(ConfigError, shortest() >= 1 && shortest() <= longest(), "task.sequence_length ",
                options.sequence_length,
                " is too short for the copy task, which repeats L/4 to (L-1)/2 - 1 symbols; "
                "use 8 or more");
}

RngAddress CopyTask::address(std::string_view stream, std::int64_t index) const {
  return {options_.seed, site_of(message("copy_task.", stream)), static_cast<std::uint32_t>(index)};
}

// Each example owns `length` numbers of the stream: its n, then its symbols.
std::int64_t CopyTask::symbols_of(const RngAddress& batch, std::int64_t sequence) const {
  const auto choices = static_cast<std::uint32_t>(longest() - shortest() + 1);
  const auto first = static_cast<std::uint64_t>(sequence * options_.sequence_length);
  return shortest() + random_below(batch, first, choices);
}

std::int64_t CopyTask::targets(std::string_view stream, std::int64_t index, std::int64_t size,
                               const Shard& shard) const {
  const RngAddress at = address(stream, index);
  const Range rows = range_of(shard, size);
  std::int64_t count = 0;
  for (std::int64_t b = 0; b < rows.count; ++b) count += symbols_of(at, rows.first + b) + 1;
  return count;
}

CopyBatch CopyTask::batch(std::string_view stream, std::int64_t index, std::int64_t size,
                          const Shard& shard) const {
  const std::int64_t length = options_.sequence_length;
  const Range rows = range_of(shard, size);
  CopyBatch batch{Tensor::zeros({rows.count, length}, DType::i32, Device::cpu()),
                  Tensor::zeros({rows.count, length}, DType::i32, Device::cpu()),
                  Tensor::zeros({rows.count, length}, DType::f32, Device::cpu())};
  const RngAddress at = address(stream, index);
  for (std::int64_t b = 0; b < rows.count; ++b) {
    const auto first = static_cast<std::uint64_t>((rows.first + b) * length);
    const std::int64_t n = symbols_of(at, rows.first + b);
    std::int32_t* x = batch.x.mutable_data<std::int32_t>() + b * length;
    std::int32_t* y = batch.y.mutable_data<std::int32_t>() + b * length;
    float* mask = batch.mask.mutable_data<float>() + b * length;
    for (std::int64_t i = 0; i < n; ++i) {
      const auto symbol =
          static_cast<std::int32_t>(1 + random_below(at, first + 1 + static_cast<std::uint64_t>(i),
                                                     static_cast<std::uint32_t>(options_.symbols)));
      x[i] = symbol;
      x[n + 1 + i] = symbol;
    }
    for (std::int64_t i = 0; i + 1 < length; ++i) y[i] = x[i + 1];
    for (std::int64_t i = n - 1; i < 2 * n; ++i) mask[i] = 1;
  }
  return batch;
}

}  // namespace tarn::data
