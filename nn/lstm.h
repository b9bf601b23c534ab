// Layers of LSTMs that read a sequence in both directions: the baseline of the paper's table 3 that
// is no transformer.
// Parameters, as torch.nn.LSTM names them, uniform in +-1 / sqrt(hidden): weight_ih_l{k} [4 hidden,
// in], weight_hh_l{k} [4 hidden, hidden], bias_ih_l{k} and bias_hh_l{k} [4 hidden], then the same
// with _reverse; gates in the order i, f, g, o.
#pragma once

#include <vector>

#include "autograd/lstm.h"
#include "nn/module.h"

namespace tarn::nn {

struct BiLstmOptions {
  std::int64_t input = 40;  // features a frame
  std::int64_t hidden = 320;
  std::int64_t layers = 3;
  double dropout = 0;  // of each layer's output but the last's
};

class BiLstm : public Module {
 public:
  BiLstm(const Build& build, const BiLstmOptions& options);

  // x [N, T, input], lengths i32 [N] or undefined for T each; returns [N, T, 2 hidden], zero at
  // frames past a length, which change nothing before it.
  Tensor forward(const Tensor& x, const Tensor& lengths, const Pass& pass) const;

 private:
  struct Direction {
    ad::Parameter& input;
    ad::Parameter& recurrent;
    ad::Parameter& input_bias;
    ad::Parameter& recurrent_bias;

    ad::LstmWeights tensors() const {
      return {input.tensor(), recurrent.tensor(), input_bias.tensor(), recurrent_bias.tensor()};
    }
  };
  struct Layer {
    Direction forward, reverse;
  };

  // Layer k, with the dropout in front of it.
  Tensor layer(std::size_t k, const Tensor& x, const Tensor& lengths, const Pass& pass) const;
  Direction direction(std::int64_t in, std::int64_t hidden, const std::string& suffix);

  double dropout_;
  std::vector<Layer> layers_;
};

}  // namespace tarn::nn
