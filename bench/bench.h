// What the benchmarks share: timing, the table on the terminal and the JSON beside it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/compute.h"
#include "core/tensor.h"
#include "core/transfer.h"

namespace tarn::bench {

double median(std::vector<double> values);  // of several, the later of the two in the middle

// The median of the seconds that one call takes until the device has done it: one call to warm up,
// then at least `repetitions` calls and half a second of them.
template <class Call>
double median_seconds(Device device, const Call& call, int repetitions = 5);

// The largest difference of an f32 tensor from its f64 reference, in units of the reference's
// largest element. What differs too much is not timed.
double relative_error(const Tensor& f32, const Tensor& f64);

// "lsh-8" is lsh with 8 rounds, "lsh" with 4; 0 for other kinds of attention.
std::int64_t lsh_rounds(const std::string& kind);

// One measurement: named values in the order of the table's columns.
using Value = std::variant<std::string, std::int64_t, double>;
using Row = std::vector<std::pair<std::string, Value>>;

// Prints rows as they come, under a heading that states the conditions: threads, instruction set,
// BLAS core and commit. Writes all of them as JSON when it is closed, if a file was asked for.
class Report {
 public:
  explicit Report(std::filesystem::path json);
  void add(const Row& row);
  void close();

 private:
  std::filesystem::path json_;
  std::vector<Row> rows_;
};

struct GemmOptions {
  std::string device = "cpu";
  std::string type = "f32";                    // what they take, as model.compute
  std::vector<std::int64_t> rows{8192, 7830};  // tokens of a copy-task batch and of an MNIST batch
};
void gemm(const GemmOptions& options, Report& report);

struct AttentionOptions {
  std::string device = "cpu";
  std::vector<std::string> kinds{"causal-linear", "linear", "full", "lsh-1", "lsh-4"};
  std::vector<std::int64_t> lengths{512, 1024, 2048, 4096, 8192, 16384, 32768, 65536};
  std::int64_t head_dim = 32;
  std::int64_t heads = 8;
  std::int64_t positions = 65536;     // batch x length
  std::int64_t softmax_limit = 8192;  // the longest length that softmax is timed at
};
void attention(const AttentionOptions& options, Report& report);

struct LstmOptions {  // the paper's model of section 4.3
  std::vector<std::int64_t> frames{400, 800, 1600};
  std::int64_t batch = 8;
  std::int64_t input = 40;
  std::int64_t hidden = 320;
  std::int64_t layers = 3;
};
void lstm(const LstmOptions& options, Report& report);

struct SpeechOptions {  // the paper's models of section 4.3
  std::vector<std::string> kinds{"linear", "full", "lsh-4", "bilstm"};
  std::vector<std::int64_t> frames{400, 800, 1600, 2400};
  std::int64_t batch = 12000;  // frames a batch, as in experiments/speech
  std::int64_t rounds = 5;
};
void speech(const SpeechOptions& options, Report& report);

struct GenerationOptions {
  std::string device = "cpu";
  std::string model = "mnist";   // the paper's: mnist or cifar
  std::filesystem::path config;  // sizes of another; empty: the paper's
  std::vector<std::string> set;  // overrides of its keys
  std::vector<std::string> modes{"recurrent", "cached", "full"};  // and lsh-N: full, by LSH
  std::vector<std::string> weights{"f32", "bf16"};
  std::vector<std::int64_t> batches{1, 8, 64, 256};
  std::int64_t group = 16;              // images that step together
  std::int64_t full_positions = 8192;   // modes full and lsh-N: the most images x length to time
  std::vector<std::int64_t> positions;  // also time single steps there
};
void generation(const GenerationOptions& options, Report& report);

struct StepOptions {  // on the config's run.device
  std::filesystem::path config;
  std::vector<std::string> set;  // overrides of its keys
  std::string compute;           // overrides its model.compute; empty: does not
};
void step(const StepOptions& options, Report& report);

struct GradientsOptions {  // on the config's run.device
  std::filesystem::path config;
  std::vector<std::string> set;                      // overrides of its keys
  std::vector<std::string> computes{"f32", "bf16"};  // what the products take, as model.compute
  std::int64_t steps = 0;                            // updates in f32 before, at the config's lr
};
// The relative errors ||g - g64|| / ||g64|| of the gradients of a training batch, of which g64 are
// computed in f64 by a model of the same weights.
void gradients(const GradientsOptions& options, Report& report);

struct ContentionOptions {
  StepOptions step;                         // of training; without a config a small copy task
  std::vector<std::int64_t> busy{0, 1, 2};  // programs beside
  std::int64_t rounds = 7;
};
void contention(const ContentionOptions& options, Report& report);

// GFLOP/s of the products of a linear layer [in, out] on `rows` rows: forward, gradient of the
// input and gradient of the weight, as the training step calls them.
double linear_layer_seconds(std::int64_t rows, std::int64_t in, std::int64_t out,
                            Device device = Device::cpu(), Compute compute = Compute::own_type);

}  // namespace tarn::bench

#include <algorithm>
#include <chrono>

namespace tarn::bench {

inline double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

template <class Call>
double median_seconds(Device device, const Call& call, int repetitions) {
  using Clock = std::chrono::steady_clock;
  call();
  wait_for(device);
  std::vector<double> seconds;
  double total = 0;
  while (static_cast<int>(seconds.size()) < repetitions || total < 0.5) {
    const auto start = Clock::now();
    call();
    wait_for(device);
    seconds.push_back(std::chrono::duration<double>(Clock::now() - start).count());
    total += seconds.back();
  }
  return median(std::move(seconds));
}

}  // namespace tarn::bench
