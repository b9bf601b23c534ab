// Gradients from device to device, while these compute.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "core/device_runtime.h"
#include "train/distributed/buckets.h"
#include "train/distributed/shard_tree.h"

namespace tarn::train {

// Adds up the sums of a tree in buckets, from the end of the gradients to their beginning. The
// device is asked for each bucket, messages and sums, in its side queue, as soon as it was asked
// for all that completes it: the thread that asks for the backward does this too and waits for
// nothing, and the device orders the one behind the other.
class DeviceExchange {
 public:
  DeviceExchange(ShardTree& tree, Communicator& ranks) : tree_(tree), ranks_(ranks) {}
  // What is under way and will not be waited for is taken back.
  ~DeviceExchange();
  DeviceExchange(const DeviceExchange&) = delete;
  DeviceExchange& operator=(const DeviceExchange&) = delete;

  // The device was asked for all of the last shard's gradient from this element on.
  void progress(const Tensor& gradient, std::int64_t first);
  // It was asked for the last shard. Returns when all is added up; RankLost.
  ExchangeTime finish(const ShardSum& last);

 private:
  struct Spell {
    std::unique_ptr<DeviceMark> start, end;
  };

  void begin(const Tensor& gradient);
  void add_up_from(std::int64_t first);
  std::unique_ptr<DeviceMark> mark() const { return runtime_->mark(device_.index); }
  ExchangeTime time_until(const DeviceMark& computed) const;

  ShardTree& tree_;
  Communicator& ranks_;
  Device device_;
  const DeviceRuntime* runtime_ = nullptr;
  SideQueue* queue_ = nullptr;
  std::optional<Buckets> buckets_;  // what is left of them; none before the exchange begins
  std::unique_ptr<DeviceMark> begun_;
  std::vector<Spell> spells_;  // of the buckets
  bool finished_ = false;
};

}  // namespace tarn::train
