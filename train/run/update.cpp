#include "train/run/update.h"

#include "core/transfer.h"
#include "train/run/signals.h"

namespace tarn::train {
namespace {

// Gradients of several parameters in one tensor begin where those in tensors of their own would, as
// far as kernels can tell: at a multiple of 256 bytes.
constexpr std::int64_t kAlign = 64;  // elements

std::int64_t aligned(std::int64_t elements) { return (elements + kAlign - 1) / kAlign * kAlign; }

Tensor zero_gradient(const std::vector<ad::Parameter*>& parameters) {
  std::int64_t elements = 0;
  for (const ad::Parameter* parameter : parameters)
    elements += aligned(parameter->value().elements());
  return Tensor::zeros({elements}, DType::f32, parameters.front()->value().device());
}

// Makes parts of `gradient` the gradients of the parameters.
void place(const std::vector<ad::Parameter*>& parameters, const Tensor& gradient, bool has_grad) {
  std::int64_t first = 0;
  for (ad::Parameter* parameter : parameters) {
    const Tensor& value = parameter->value();
    parameter->place_grad(gradient.slice(0, first, value.elements()).view(value.shape()), has_grad);
    first += aligned(value.elements());
  }
}

}  // namespace

UpdateBatches run_shard(Task& task, const Config& config, std::int64_t step,
                        const data::Shard& shard, ad::Tape& tape) {
  const std::int64_t count = config.train.accumulate;
  UpdateBatches out;
  for (std::int64_t i = 0; i < count; ++i) {
    stop_if_signalled();
    const std::int64_t index = step * count + i;
    // Each shard draws masks of its own.
    const std::int64_t address = index * shard.count + shard.index;
    ForwardResult result;
    {
      const ad::Recording recording = tape.record();
      result = task.train_batch(
          index, shard,
          {true, config.run.seed, static_cast<std::uint32_t>(address), config.train.recompute});
    }
    out.tokens += result.tokens;
    if (i == 0) {
      const Tensor& totals = result.totals;
      out.totals = Tensor::zeros({count, totals.elements()}, totals.dtype(), totals.device());
    }
    copy_into(result.totals, out.totals.select(0, i));
    if (!result.loss.defined()) continue;
    if (tape.first_nonfinite()) break;
    tape.backward(result.loss, result.share / static_cast<double>(count));
    if (tape.first_nonfinite()) break;  // the next recording would forget it
  }
  return out;
}

UpdateBatches run_batches(Task& task, const Config& config, std::int64_t step, ad::Tape& tape) {
  Communicator alone;
  return run_batches(task, config, step, tape, alone);
}

UpdateBatches run_batches(Task& task, const Config& config, std::int64_t step, ad::Tape& tape,
                          Communicator& ranks) {
  const std::int64_t shards = config.train.shards;
  if (shards == 1) return run_shard(task, config, step, {}, tape);
  const std::vector<ad::Parameter*> parameters = task.model().parameters();
  const auto run = [&](std::int64_t shard) {
    // Zeros, for a shard of no rows leaves its gradient as it is.
    ShardSum sum{.gradient = zero_gradient(parameters)};
    place(parameters, sum.gradient, false);
    const UpdateBatches batches = run_shard(task, config, step, {shard, shards}, tape);
    sum.totals = batches.totals;
    sum.tokens = batches.tokens;
    sum.stops = signal_received() != 0 ? 1 : 0;
    return sum;
  };
  const ShardSum sum = sum_over_shards(shards, ranks, run);
  place(parameters, sum.gradient, true);
  return {sum.totals, sum.tokens, sum.stops > 0};
}

Metrics mean_metrics(const Task& task, std::span<const double> totals, std::int64_t batches) {
  const std::size_t width = totals.size() / static_cast<std::size_t>(batches);
  Metrics means;
  for (std::size_t first = 0; first < totals.size(); first += width) {
    const Metrics batch = task.metrics(totals.subspan(first, width));
    if (first == 0) means.assign(batch.size(), {});
    for (std::size_t m = 0; m < means.size(); ++m) {
      means[m].name = batch[m].name;
      means[m].value += batch[m].value / static_cast<double>(batches);
    }
  }
  return means;
}

}  // namespace tarn::train
