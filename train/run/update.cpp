#include "train/run/update.h"

#include <functional>
#include <unordered_set>

#include "core/transfer.h"
#include "train/run/signals.h"

namespace tarn::train {
namespace {

// Gradients of several parameters in one tensor begin where those in tensors of their own would, as
// far as kernels can tell: at a multiple of 256 bytes.
constexpr std::int64_t kAlign = 64;  // elements

std::int64_t aligned(std::int64_t elements) { return (elements + kAlign - 1) / kAlign * kAlign; }

// The gradients of a model's parameters, one behind the other in one tensor.
class Layout {
 public:
  explicit Layout(std::vector<ad::Parameter*> parameters) : parameters_(std::move(parameters)) {
    for (const ad::Parameter* parameter : parameters_) {
      firsts_.push_back(elements_);
      elements_ += aligned(parameter->value().elements());
    }
  }

  Tensor zeros() const {
    return Tensor::zeros({elements_}, DType::f32, parameters_.front()->value().device());
  }

  // Makes parts of `gradient` the gradients of the parameters.
  void place(const Tensor& gradient, bool has_grad) const {
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      const Tensor& value = parameters_[i]->value();
      parameters_[i]->place_grad(
          gradient.slice(0, firsts_[i], value.elements()).view(value.shape()), has_grad);
    }
  }

  // A hook that says from which element on all gradients are complete. A backward completes them
  // roughly from the last to the first.
  ad::GradientHook hook(const std::function<void(std::int64_t first)>& progress) const {
    std::unordered_set<const ad::Parameter*> complete;
    return [=, this, behind = parameters_.size()](const ad::Parameter& parameter) mutable {
      complete.insert(&parameter);
      const std::size_t before = behind;
      while (behind > 0 && complete.contains(parameters_[behind - 1])) --behind;
      if (behind < before) progress(firsts_[behind]);
    };
  }

 private:
  std::vector<ad::Parameter*> parameters_;
  std::vector<std::int64_t> firsts_;  // elements
  std::int64_t elements_ = 0;
};

}  // namespace

UpdateBatches run_shard(Task& task, const Config& config, std::int64_t step,
                        const data::Shard& shard, ad::Tape& tape,
                        const ad::GradientHook& complete) {
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
    const bool last = i + 1 == count;
    if (last && complete) {
      // Those that the batch did not read get a place behind all ops: they are complete at once.
      for (ad::Parameter* parameter : task.model().parameters()) tape.leaf(*parameter);
    }
    tape.backward(result.loss, result.share / static_cast<double>(count),
                  last ? complete : ad::GradientHook());
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
  const Layout layout(task.model().parameters());
  const auto run = [&](std::int64_t shard, const GradientProgress& progress) {
    // Zeros, for a shard of no rows leaves its gradient as it is.
    ShardSum sum{.gradient = layout.zeros()};
    layout.place(sum.gradient, false);
    ad::GradientHook complete;
    if (progress) {
      complete = layout.hook([&](std::int64_t first) { progress(sum.gradient, first); });
    }
    const UpdateBatches batches = run_shard(task, config, step, {shard, shards}, tape, complete);
    sum.totals = batches.totals;
    sum.tokens = batches.tokens;
    sum.stops = signal_received() != 0 ? 1 : 0;
    return sum;
  };
  const auto [sum, exchange] = sum_over_shards(shards, ranks, run);
  layout.place(sum.gradient, true);
  return {sum.totals, sum.tokens, sum.stops > 0, exchange};
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
