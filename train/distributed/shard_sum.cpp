#include "train/distributed/shard_sum.h"

#include "train/distributed/device_exchange.h"
#include "train/distributed/host_exchange.h"
#include "train/distributed/shard_tree.h"

namespace tarn::train {
namespace {

// Sums over the shards, and exchanges what is complete while the last one is computed, if somebody
// is to hear of it.
template <class Exchange>
BatchSum sum_with(Exchange& exchange, bool hears, const ShardTree& tree,
                  const ComputeShard& compute) {
  GradientProgress progress;
  if (hears) {
    progress = [&](const Tensor& gradient, std::int64_t first) {
      exchange.progress(gradient, first);
    };
  }
  const ExchangeTime time = exchange.finish(compute(tree.last_shard(), progress));
  return {tree.result(), time};
}

}  // namespace

BatchSum sum_over_shards(std::int64_t count, Communicator& ranks, const ComputeShard& compute) {
  ShardTree tree(count, ranks);
  tree.compute_before_last([&](std::int64_t shard) { return compute(shard, {}); });
  if (ranks.alone()) {
    const ShardSum last = compute(tree.last_shard(), {});
    tree.keep_last(last.gradient);
    tree.keep_rest_of_last(last);
    tree.add_up(0, last.gradient.elements());
    return {tree.result(), {}};
  }
  if (ranks.connects_devices()) {
    DeviceExchange exchange(tree, ranks);
    return sum_with(exchange, true, tree, compute);
  }
  HostExchange exchange(tree);
  return sum_with(exchange, ranks.serves_any_thread(), tree, compute);
}

void check_shards(std::int64_t count, const Communicator& ranks) {
  TARN_CHECK_AS(ConfigError, ranks.size() <= count, "train.shards is ", count, ", and there are ",
                ranks.size(),
                " processes; each takes one part of a batch at least: set "
                "train.shards to ",
                ranks.size(),
                " or more, and leave it so: it decides the bits of "
                "a run, and the number of processes does not");
}

}  // namespace tarn::train
