// What one update of the weights is made of: forward and backward of its batches, shard by shard.
#pragma once

#include <cstdint>
#include <span>

#include "autograd/tape.h"
#include "train/config/config.h"
#include "train/distributed/shard_sum.h"
#include "train/tasks/task.h"

namespace tarn::train {

// What the batches of one update gave.
struct UpdateBatches {
  // f64 [batches, n], on the task's device: a row a batch, as ForwardResult has them.
  Tensor totals;
  std::int64_t tokens = 0;  // of all batches
  bool stop = false;        // a signal asked one of the processes to end
  ExchangeTime exchange;
};

// Forward and backward of the train.accumulate batches of the update after `step` of them, each in
// train.shards parts, which the processes share. The mean of their gradients is left with the
// parameters of each, in place of what they hold. A process alone does not wait for the device.
UpdateBatches run_batches(Task& task, const Config& config, std::int64_t step, ad::Tape& tape,
                          Communicator& ranks);
UpdateBatches run_batches(Task& task, const Config& config, std::int64_t step, ad::Tape& tape);

// The same of one shard of each batch alone; its part of the mean gradient is added to what the
// parameters hold, and `complete` is told of each when that of the last batch is in it too. Where
// the tape watches, it ends at the first op whose result is not finite.
UpdateBatches run_shard(Task& task, const Config& config, std::int64_t step,
                        const data::Shard& shard, ad::Tape& tape,
                        const ad::GradientHook& complete = {});

// The means over an update's batches of their metrics; `totals` is UpdateBatches::totals.
Metrics mean_metrics(const Task& task, std::span<const double> totals, std::int64_t batches);

}  // namespace tarn::train
