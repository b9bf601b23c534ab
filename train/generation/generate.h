// Sequences from a trained model, one value after another.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "autograd/sample.h"
#include "nn/sequence_predictor.h"

namespace tarn::train {

// How the next value's distribution is had from the values so far.
enum class GenerateMode {
  recurrent,  // from a state of fixed size (linear attention)
  cached,     // from the keys and values of all positions (softmax attention)
  full        // by a parallel pass over all of them, each time
};

std::string_view name_of(GenerateMode mode);

// The modes that a kind of attention has, the fastest first.
std::vector<GenerateMode> generate_modes(std::string_view attention);

// The mode of this name, or the fastest if the name is empty. Throws ConfigError, which lists the
// kind's modes, if it has none of this name.
GenerateMode find_generate_mode(std::string_view name, std::string_view attention);

struct GenerateOptions {
  GenerateMode mode = GenerateMode::recurrent;
  bool categorical = false;  // the model gives logits of values, not a mixture of logistics
  ad::LogisticScale scale = ad::LogisticScale::exact;
  double temperature = 1;
  std::uint64_t seed = 1;
  DType storage = DType::f32;  // of the weights that steps read; or bf16
};

// Called for each value but the given ones before it is asked for, with the number of values before
// it; steps are asked for several at a time. False ends the generation.
using GenerateWatch = std::function<bool(std::int64_t values)>;

// Makes sequences longer. A sequence is the same whatever the batch it stands in.
class Generator {
 public:
  // The model must outlive the generator, and its weights stay as they are.
  Generator(const nn::SequencePredictor& model, const GenerateOptions& options);

  // Completes sequences. given: i32 [N, K] on the CPU, the values that are there, at least one,
  // since a model gives no distribution of the first. Returns i32 [N, length] on the CPU, or an
  // undefined tensor if the watch ended it. Row r is sequence first + r: its value at position p is
  // drawn with the numbers of step p, block first + r. Throws Error if the model's outputs are not
  // finite.
  Tensor complete(const Tensor& given, std::int64_t length, std::uint32_t first,
                  const GenerateWatch& watch) const;

 private:
  struct Sequences;

  // What a parallel pass over the first `count` values gives for the next: [N, outputs]. The state,
  // if there is one, is then behind them.
  Tensor outputs_after(Sequences& sequences, std::int64_t count) const;
  // Draws values 1 .. count of the block, each by a step from the one before.
  void draw_by_steps(Sequences& sequences, std::int64_t count, std::uint32_t first) const;
  // Draws value index + 1 of the block from its distributions.
  void draw(const Sequences& sequences, std::int64_t index, std::uint32_t first,
            const Tensor& outputs) const;

  const nn::SequencePredictor& model_;
  GenerateOptions options_;
  nn::StepWeights weights_;  // none in mode full
};

}  // namespace tarn::train
