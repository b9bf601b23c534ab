#include "autograd/encoder_step.h"

#include "kernels/copy.h"
#include "kernels/table.h"

namespace tarn::ad {
namespace {

using kernels::Table;

void check_memory(const EncoderStep& step, const StepLayer& layer, const StepMemory& memory) {
  const Shape& first = memory.first.shape();
  const bool linear = layer.rule.kind == StepRule::Kind::causal_linear;
  const std::int64_t queries = layer.query_width, values = layer.value_width;
  const bool fits = first.rank() == 4 && first[0] == step.x.size(0) && first[1] == layer.heads &&
                    first[linear ? 2 : 3] == queries && (!linear || first[3] == values);
  TARN_CHECK_SHAPE(fits, "encoder_step: the state ", first, " does not belong to x ",
                   step.x.shape(), " and ", layer.heads, " heads of ", queries);
  TARN_CHECK_SHAPE(linear || step.position < first[2], "encoder_step: position ", step.position,
                   " is past the cache's ", first[2], " positions");
  const Shape second = linear ? first.without_last() : first.without_last().with(values);
  TARN_CHECK_SHAPE(memory.second.shape() == second, "encoder_step: the state ", first, " and ",
                   memory.second.shape(), " does not belong together");
}

}  // namespace

PanelLinear panel_linear(const Tensor& weight, const Tensor& bias, DType storage) {
  TARN_CHECK_AS(
      DTypeError,
      storage == weight.dtype() || (storage == DType::bf16 && weight.dtype() == DType::f32),
      "panel_linear: a weight in ", name_of(weight.dtype()), " cannot be stored in ",
      name_of(storage));
  const Shape shape = kernels::panels_shape(weight.size(0), weight.size(1), storage);
  PanelLinear linear{Tensor::empty(shape, storage, weight.device()), Tensor::empty_like(bias)};
  kernels::run(&Table::pack_panels, weight.device(), {.weight = weight, .panels = linear.panels});
  kernels::run(&Table::copy, bias.device(), {.from = bias, .to = linear.bias});
  return linear;
}

Tensor encoder_step(const EncoderStep& step) {
  TARN_CHECK_SHAPE(step.layers.size() == step.memory.size(), "encoder_step: ", step.layers.size(),
                   " layers and a state of ", step.memory.size());
  for (std::size_t i = 0; i < step.layers.size(); ++i) {
    check_memory(step, step.layers[i], step.memory[i]);
  }
  const std::int64_t outputs =
      step.head.panels.defined() ? step.head.bias.elements() : step.x.size(1);
  const auto make = [&](const Shape& shape) {
    return Tensor::empty(shape, step.x.dtype(), step.x.device());
  };
  kernels::EncoderStepArgs args{.x = step.x,
                                .layers = step.layers,
                                .memory = step.memory,
                                .norm = step.norm,
                                .head = step.head,
                                .position = step.position,
                                .out = make({step.x.size(0), outputs})};
  kernels::run(&Table::encoder_step, step.x.device(), args);
  return args.out;
}

}  // namespace tarn::ad
