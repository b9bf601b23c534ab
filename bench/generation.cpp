// The paper's Tables 1, 2, 4 and 5: images a second and seconds an image, for linear attention as
// an RNN, softmax with its keys and values kept, and softmax that runs the whole prefix again for
// each value. The weights are random, which changes no time.
#include "bench/bench.h"
#include "core/allocator.h"
#include "core/transfer.h"
#include "kernels/backend.h"
#include "nn/sequence_predictor.h"
#include "train/run/progress.h"
#include "train/tasks/model.h"

namespace tarn::bench {
namespace {

using Clock = std::chrono::steady_clock;

// What the paper prints: images/s of its Table 4 (on a GPU), s/image of its Table 5 (one, on a
// CPU).
struct Printed {
  const char *images, *mode;
  double images_per_s, s_per_image;
};
constexpr Printed kPrinted[] = {
    {"mnist", "recurrent", 142.8, 5.5}, {"mnist", "cached", 7.56, 7.4},
    {"mnist", "full", 0.45, 72.6},      {"mnist", "lsh-1", 0.68, 46.0},
    {"mnist", "lsh-4", 0.27, 112.0},    {"cifar", "recurrent", 17.85, 45.1},
    {"cifar", "cached", 0.32, 71.9},    {"cifar", "full", 0.004, 8651.4},
    {"cifar", "lsh-1", 0.015, 2318.9},  {"cifar", "lsh-4", 0.005, 5263.7},
};

nn::SequencePredictorOptions model_options(const GenerationOptions& options) {
  nn::SequencePredictorOptions model{.vocabulary = 256, .outputs = 30};
  if (!options.config.empty()) {
    const train::Config config = train::load_config(options.config, options.set);
    model.encoder = train::encoder_options(config.model);
    model.max_length = config.task.sequence_length;
    return model;
  }
  const bool mnist = options.model == "mnist";
  model.encoder.layers = mnist ? 8 : 16;
  model.max_length = mnist ? 783 : 3071;
  return model;
}

Tensor tokens_of(const Shape& shape, Device device) {
  Tensor tokens = Tensor::empty(shape, DType::i32, Device::cpu());
  for (std::int64_t i = 0; i < tokens.elements(); ++i) {
    tokens.mutable_data<std::int32_t>()[i] = static_cast<std::int32_t>(i % 256);
  }
  return copy_to(tokens, device);
}

// The median seconds of one step of `batch` sequences at a position.
double step_seconds(const nn::SequencePredictor& model, const nn::StepWeights& weights,
                    std::int64_t batch, std::int64_t position) {
  nn::EncoderState state = model.start(batch, weights);
  const Tensor tokens = tokens_of({batch}, model.device());
  return median_seconds(
      model.device(),
      [&] {
        for (nn::AttentionState& layer : state.layers) layer.position = position;
        model.step(tokens, state);
      },
      30);
}

// Seconds to run the prefix again for each of `length` values: the time of a prefix is a polynomial
// of the second degree in its length, which Simpson's rule adds up exactly.
double full_seconds(const nn::SequencePredictor& model, std::int64_t batch, std::int64_t length) {
  const auto prefix_seconds = [&](std::int64_t prefix) {
    const Tensor tokens = tokens_of({batch, prefix}, model.device());
    const auto start = Clock::now();
    model.forward(tokens, {.causal = true, .lengths = {}}, {});
    wait_for(model.device());
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  prefix_seconds(1);
  const double mean =
      (prefix_seconds(1) + 4 * prefix_seconds((length + 1) / 2) + prefix_seconds(length)) / 6;
  return mean * static_cast<double>(length);
}

// Operations of one step of one sequence: two a weight, four an element of linear attention's state
// or of softmax's cache.
double step_flops(const nn::SequencePredictorOptions& options, std::int64_t position) {
  const nn::EncoderOptions& e = options.encoder;
  const auto other = static_cast<double>(e.attention == "full" ? position + 1 : e.head_dim);
  const auto width = static_cast<double>(e.width());
  const double layer =
      8 * width * width + 4 * width * static_cast<double>(e.feed_forward) + 4 * width * other;
  return static_cast<double>(e.layers) * layer + 2 * width * static_cast<double>(options.outputs);
}

// Whether a mode runs the whole prefix again for each value.
bool recomputes(const std::string& mode) { return mode == "full" || lsh_rounds(mode) > 0; }

void set_attention(nn::EncoderOptions& encoder, const std::string& mode) {
  encoder.attention = mode == "recurrent" ? "causal-linear" : "full";
  if (lsh_rounds(mode) == 0) return;
  encoder.attention = "lsh";
  encoder.lsh.rounds = lsh_rounds(mode);
}

class Generation {
 public:
  Generation(const GenerationOptions& options, Report& report)
      : options_(options),
        report_(report),
        device_(parse_device(options.device)),
        model_options_(model_options(options)) {}

  void run() {
    train::announce(device_);
    for (const std::string& mode : options_.modes) {
      set_attention(model_options_.encoder, mode);
      const nn::SequencePredictor model({.device = device_}, model_options_);
      for (const std::int64_t batch : options_.batches) {
        if (recomputes(mode)) {
          time_full(model, mode, batch);
          continue;
        }
        for (const std::string& storage : options_.weights) {
          time_steps(model, mode, storage, batch);
        }
      }
    }
    if (options_.positions.empty()) return;
    const std::int64_t longest =
        *std::max_element(options_.positions.begin(), options_.positions.end());
    model_options_.max_length = std::max(model_options_.max_length, longest + 1);
    for (const std::string& mode : options_.modes) {
      if (!recomputes(mode)) time_positions(mode);
    }
  }

 private:
  static nn::StepWeights stored(const nn::SequencePredictor& model, const std::string& storage) {
    return model.step_weights(storage == "bf16" ? DType::bf16 : DType::f32);
  }

  void time_steps(const nn::SequencePredictor& model, const std::string& mode,
                  const std::string& storage, std::int64_t batch) {
    const std::int64_t group = std::min(batch, options_.group);
    const std::int64_t middle = model_options_.max_length / 2;  // the mean cost, for it is linear
    const double step = step_seconds(model, stored(model, storage), group, middle);
    const double groups = static_cast<double>(batch) / static_cast<double>(group);
    add(mode, storage, batch, group, step,
        step * groups * static_cast<double>(model_options_.max_length));
  }

  // Large batches are timed on fewer images: the time is that of the products, an image's each.
  void time_full(const nn::SequencePredictor& model, const std::string& mode, std::int64_t batch) {
    const std::int64_t length = model_options_.max_length;
    const std::int64_t group =
        std::min(batch, std::max<std::int64_t>(1, options_.full_positions / length));
    const double groups = static_cast<double>(batch) / static_cast<double>(group);
    const double seconds = full_seconds(model, group, length);
    add(mode, "f32", batch, group, seconds / static_cast<double>(length), seconds * groups);
  }

  void add(const std::string& mode, const std::string& storage, std::int64_t batch,
           std::int64_t group, double step, double seconds) {
    Row row{{"bench", "generation"},
            {"mode", mode},
            {"weights", storage},
            {"batch", batch},
            {"group", group},
            {"threads", kernels::cpu_backend().threads},
            {"us_per_step", step * 1e6},
            {"images_per_s", static_cast<double>(batch) / seconds},
            {"s_per_image", seconds / static_cast<double>(batch)}};
    for (const Printed& printed : kPrinted) {
      if (options_.config.empty() && options_.model == printed.images && mode == printed.mode) {
        row.emplace_back("paper_gpu_img/s", printed.images_per_s);
        row.emplace_back("paper_cpu_s/img", printed.s_per_image);
      }
    }
    report_.add(row);
  }

  void time_positions(const std::string& mode) {
    set_attention(model_options_.encoder, mode);
    const nn::SequencePredictor model({.device = device_}, model_options_);
    for (const std::string& storage : options_.weights) {
      const nn::StepWeights weights = stored(model, storage);
      for (const std::int64_t position : options_.positions) {
        const double seconds = step_seconds(model, weights, 1, position);
        report_.add({{"bench", "step_at"},
                     {"mode", mode},
                     {"weights", storage},
                     {"position", position},
                     {"threads", kernels::cpu_backend().threads},
                     {"us_per_step", seconds * 1e6},
                     {"gflops", step_flops(model_options_, position) / seconds / 1e9}});
      }
    }
  }

  const GenerationOptions& options_;
  Report& report_;
  Device device_;
  nn::SequencePredictorOptions model_options_;
};

}  // namespace

void generation(const GenerationOptions& options, Report& report) {
  Generation(options, report).run();
}

}  // namespace tarn::bench
