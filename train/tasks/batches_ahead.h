// Training batches that are on their way to a device before they are needed.
#pragma once

#include <functional>
#include <optional>
#include <utility>

#include "core/device_copy.h"
#include "data/shard.h"

namespace tarn::train {

// Batch is made of DeviceCopies, by a function of its number and the shard. While a device trains
// on one batch the next is copied. On the CPU, where nothing goes on meanwhile, and of batches in
// shards each is made when it is taken.
template <class Batch>
class BatchesAhead {
 public:
  using Make = std::function<Batch(std::int64_t index, const data::Shard& shard)>;

  BatchesAhead(Device device, Make make)
      : ahead_(device != Device::cpu()), make_(std::move(make)) {}

  // Call it before the device is asked for anything of this batch, since the copy of the next one
  // waits for what was asked before.
  Batch take(std::int64_t index, const data::Shard& shard) {
    if (!ahead_ || shard.count > 1) return make_(index, shard);
    const bool made = next_ && next_->first == index;
    Batch batch = made ? std::move(next_->second) : make_(index, shard);
    next_.emplace(index + 1, make_(index + 1, shard));
    return batch;
  }

 private:
  bool ahead_;
  Make make_;
  std::optional<std::pair<std::int64_t, Batch>> next_;
};

}  // namespace tarn::train
