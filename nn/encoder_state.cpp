#include "nn/encoder_state.h"

#include <algorithm>

#include "core/transfer.h"

namespace tarn::nn {
namespace {

constexpr const char* kPosition = "position";

std::string name_of_tensor(std::size_t layer, const std::string& tensor) {
  return message("layers.", layer, ".", tensor);
}

}  // namespace

void EncoderState::set_position(std::int64_t position) {
  for (AttentionState& layer : layers) layer.position = position;
}

EncoderState EncoderState::copy() const {
  EncoderState out{weights, {}};
  for (const AttentionState& state : layers) out.layers.push_back(state.copy());
  return out;
}

NamedTensors EncoderState::named() const {
  const std::int32_t at[] = {static_cast<std::int32_t>(position())};
  NamedTensors all{{kPosition, from_values<std::int32_t>(at, {1}, Device::cpu())}};
  for (std::size_t i = 0; i < layers.size(); ++i) {
    for (const auto& [name, tensor] : layers[i].tensors) {
      all.emplace_back(name_of_tensor(i, name), tensor);
    }
  }
  return all;
}

void EncoderState::restore(const NamedTensors& tensors) {
  const NamedTensors expected = named();
  const auto find = [&](const std::string& name) {
    const auto at = std::find_if(tensors.begin(), tensors.end(),
                                 [&](const auto& tensor) { return tensor.first == name; });
    TARN_CHECK_AS(UserError, at != tensors.end(), "state: there is no tensor ", name,
                  ", which this model's state has; was it saved by another kind of attention?");
    return at->second;
  };
  for (const auto& [name, to] : expected) {
    const Tensor from = find(name);
    TARN_CHECK_AS(UserError, from.shape() == to.shape() && from.dtype() == to.dtype(),
                  "state: ", name, " is ", from, ", and this model's state has ", to);
  }
  TARN_CHECK_AS(UserError, tensors.size() == expected.size(), "state: there are ", tensors.size(),
                " tensors, and this model's state has ", expected.size());
  const auto seen = static_cast<std::int64_t>(item(find(kPosition)));
  TARN_CHECK_AS(UserError, seen >= 0, "state: position is ", seen, ", which is not a count");
  for (std::size_t i = 0; i < layers.size(); ++i) {
    layers[i].position = seen;
    for (const auto& [name, to] : layers[i].tensors) copy_into(find(name_of_tensor(i, name)), to);
  }
}

}  // namespace tarn::nn
