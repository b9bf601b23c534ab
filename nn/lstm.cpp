#include "nn/lstm.h"

#include "autograd/dropout.h"
#include "autograd/recompute.h"

namespace tarn::nn {

BiLstm::BiLstm(const Build& build, const BiLstmOptions& options)
    : Module(build), dropout_(options.dropout) {
  for (std::int64_t k = 0; k < options.layers; ++k) {
    const std::int64_t in = k == 0 ? options.input : 2 * options.hidden;
    const std::string suffix = message("_l", k);
    const Direction forward = direction(in, options.hidden, suffix);
    layers_.push_back({forward, direction(in, options.hidden, suffix + "_reverse")});
  }
}

BiLstm::Direction BiLstm::direction(std::int64_t in, std::int64_t hidden,
                                    const std::string& suffix) {
  const Init init = Init::fan_in(hidden);
  const auto made = [&](const char* name, const Shape& shape) -> ad::Parameter& {
    return parameter(name + suffix, shape, init);
  };
  return {made("weight_ih", {4 * hidden, in}), made("weight_hh", {4 * hidden, hidden}),
          made("bias_ih", {4 * hidden}), made("bias_hh", {4 * hidden})};
}

Tensor BiLstm::forward(const Tensor& x, const Tensor& lengths, const Pass& pass) const {
  Tensor y = x;
  for (std::size_t k = 0; k < layers_.size(); ++k) {
    const auto forward = [=, this](const Tensor& in) { return layer(k, in, lengths, pass); };
    y = pass.recompute ? ad::recompute(y, forward) : forward(y);
  }
  return y;
}

Tensor BiLstm::layer(std::size_t k, const Tensor& x, const Tensor& lengths,
                     const Pass& pass) const {
  Tensor in = x;
  if (k > 0 && pass.training && dropout_ > 0) {
    in = ad::dropout(in, dropout_, address(pass, message("dropout_l", k - 1).c_str()));
  }
  return ad::bi_lstm(in, lengths, layers_[k].forward.tensors(), layers_[k].reverse.tensors());
}

}  // namespace tarn::nn
