// A transformer run as an RNN: a prefix in one parallel pass, then value after value, in two ways.
#include <iostream>

#include "core/transfer.h"
#include "nn/sequence_predictor.h"
#include "train/weights/state_file.h"

using namespace tarn;

Tensor tokens(std::initializer_list<std::int32_t> values, const Shape& shape) {
  return from_values<std::int32_t>({values.begin(), values.size()}, shape, Device::cpu());
}

int main() {
  // Fresh weights; train::Checkpoint::load_model() fills in a run's.
  const nn::SequencePredictor model(
      {}, {.encoder = {.layers = 2, .heads = 2}, .vocabulary = 256, .outputs = 30});

  const nn::StepWeights weights = model.step_weights(DType::bf16);  // one copy for all states
  nn::EncoderState state = model.start(1, weights);                 // a batch of one
  Tensor outputs = model.prefill(tokens({0, 0, 17, 250}, {1, 4}), state);

  nn::EncoderState fork = state.copy();
  outputs = model.step(tokens({251}, {1}), state);
  const Tensor other = model.step(tokens({9}, {1}), fork);

  train::save_state("state.safetensors", state);
  nn::EncoderState again = model.start(1, weights);
  train::load_state("state.safetensors", again);
  std::cout << outputs.shape().str() << " after " << again.position() << " values\n";
}
