// A whole training step of a config: where its time goes, and how near it comes to the products
// that it consists of.
#include "bench/bench.h"
#include "core/allocator.h"
#include "kernels/backend.h"
#include "train/run/progress.h"
#include "train/run/trainer.h"
#include "train/tasks/model.h"

namespace tarn::bench {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// The encoder's products, forward and backward, by themselves.
double products_seconds(const nn::EncoderOptions& o, std::int64_t tokens, Device device,
                        Compute compute) {
  const double square = linear_layer_seconds(tokens, o.width(), o.width(), device, compute);
  const double up = linear_layer_seconds(tokens, o.width(), o.feed_forward, device, compute);
  const double down = linear_layer_seconds(tokens, o.feed_forward, o.width(), device, compute);
  return static_cast<double>(o.layers) * (4 * square + up + down);
}

double product_flops(const nn::EncoderOptions& o, std::int64_t tokens) {
  const double weights =
      static_cast<double>(o.layers * (4 * o.width() * o.width() + 2 * o.width() * o.feed_forward));
  return 6 * weights * static_cast<double>(tokens);
}

// 4 N D M forward and 10 N D M backward a head for linear attention; for softmax the same with half
// of the length, which is what a causal query sees on average, in the place of one width, for lsh
// with the two chunks of each round.
double attention_flops(const nn::EncoderOptions& o, std::int64_t tokens, std::int64_t length) {
  auto other = static_cast<double>(o.head_dim);
  if (o.attention == "full") other = static_cast<double>(length) / 2;
  if (o.attention == "lsh") other = static_cast<double>(o.lsh.rounds * 2 * o.lsh.chunk);
  return 14.0 * static_cast<double>(o.layers * tokens * o.width()) * other;
}

// The first steps ask the system for memory, and its threads may share a processor for some 50 ms.
bool warm(std::int64_t steps, double seconds) { return steps >= 3 && seconds > 0.3; }

std::vector<std::string> with_compute(std::vector<std::string> set, const std::string& compute) {
  if (!compute.empty()) set.push_back("model.compute=" + compute);
  return set;
}

// Enough to take a median of.
bool measured(std::size_t steps, double seconds) { return steps >= 6 && seconds > 0.7; }

}  // namespace

void step(const StepOptions& options, Report& report) {
  const train::Config config =
      train::load_config(options.config, with_compute(options.set, options.compute));
  const Device device = parse_device(config.run.device);
  train::announce(device, config.model.compute);
  const auto task = train::make_ready_task(config, device);
  const auto optimizer = train::optimizer_for(config, task->model());
  std::vector<double> forward, backward, update;
  std::int64_t tokens = 0, blocks = 0;
  Allocator& memory = allocator(device);
  auto begin = Clock::now();
  bool warming_up = true;
  for (std::int64_t i = 0; !measured(update.size(), seconds_since(begin)); ++i) {
    if (warming_up && warm(i, seconds_since(begin))) {
      // From here on nothing new may be asked of the system.
      blocks = memory.stats().system_blocks;
      memory.reset_peak();
      warming_up = false;
      begin = Clock::now();
    }
    ad::Tape tape;
    train::ForwardResult result;
    auto start = Clock::now();
    {
      const ad::Recording recording = tape.record();
      result = task->train_batch(
          i, {}, {true, config.run.seed, static_cast<std::uint32_t>(i), config.train.recompute});
    }
    wait_for(device);
    const double forward_seconds = seconds_since(start);
    start = Clock::now();
    tape.backward(result.loss);
    wait_for(device);
    const double backward_seconds = seconds_since(start);
    start = Clock::now();
    optimizer->step(config.optimizer.lr);  // which waits for the device by itself
    if (!warming_up) {
      forward.push_back(forward_seconds);
      backward.push_back(backward_seconds);
      update.push_back(seconds_since(start));
    }
    tokens = result.tokens;
  }
  const MemoryStats stats = memory.stats();
  const nn::EncoderOptions encoder = train::encoder_options(config.model);
  const double seconds = median(forward) + median(backward) + median(update);
  const double flops = product_flops(encoder, tokens) +
                       attention_flops(encoder, tokens, tokens / config.train.batch_size);
  const double gemm_rate =
      product_flops(encoder, tokens) /
      products_seconds(encoder, tokens, device, train::compute_of(config.model)) / 1e9;
  const double rate = flops / seconds / 1e9;
  report.add({{"bench", "step"},
              {"compute", config.model.compute},
              {"threads", kernels::cpu_backend().threads},
              {"ms", seconds * 1e3},
              {"forward_ms", median(forward) * 1e3},
              {"backward_ms", median(backward) * 1e3},
              {"update_ms", median(update) * 1e3},
              {"tokens_per_s", static_cast<double>(tokens) / seconds},
              {"gflops", rate},
              {"gemm_gflops", gemm_rate},
              {"share_of_gemm", rate / gemm_rate},
              {"peak_bytes", stats.peak},
              {"new_blocks", stats.system_blocks - blocks}});
}

}  // namespace tarn::bench
