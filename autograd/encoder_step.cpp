#include "autograd/encoder_step.h"

#include "autograd/check.h"
#include "kernels/copy.h"
#include "kernels/table.h"

namespace tarn::ad {
namespace {

using kernels::Table;

// Packed weights of this many inputs and outputs, in x's type or in bf16.
void check_linear(const Tensor& x, const Argument& panels, const Argument& bias, std::int64_t in,
                  std::int64_t out) {
  const Check check("encoder_step");
  check.required({panels, bias});
  check.alike({{"x", x}, bias});
  check.device(panels, x.device());
  if (panels.tensor.dtype() != DType::bf16 || x.dtype() != DType::f32)
    check.dtype(panels, x.dtype());
  check.shape(bias, {out});
  check.shape(panels, kernels::packed_shape(out, in, panels.tensor.dtype()));
  check.contiguous({panels, bias});
}

void check_norm(const Tensor& x, const NormWeights& norm) {
  const Check check("encoder_step");
  const Argument weight{"norm weight", norm.weight}, bias{"norm bias", norm.bias};
  check.required({weight, bias});
  check.alike({{"x", x}, weight, bias});
  check.shape(weight, {x.size(1)});
  check.shape(bias, {x.size(1)});
  check.contiguous({weight, bias});
}

// A layer against x and against the first layer, whose sizes the kernel takes for all.
void check_layer(const Tensor& x, const StepLayer& layer, const StepLayer& first) {
  const std::int64_t width = x.size(1), queries = layer.heads * layer.query_width,
                     values = layer.heads * layer.value_width;
  TARN_CHECK_SHAPE(layer.heads > 0 && layer.query_width > 0 && layer.value_width > 0,
                   "encoder_step: ", layer.heads, " heads of widths ", layer.query_width, " and ",
                   layer.value_width, "; each must be 1 or more");
  TARN_CHECK_SHAPE(layer.heads == first.heads && layer.query_width == first.query_width &&
                       layer.value_width == first.value_width && layer.rule.kind == first.rule.kind,
                   "encoder_step: the layers must have one kind of attention, with heads of one "
                   "number and width");
  const Check check("encoder_step");
  check.required({{"linear1 bias", layer.linear1.bias}, {"linear1 bias", first.linear1.bias}});
  check.shape({"linear1 bias", layer.linear1.bias}, first.linear1.bias.shape());
  const std::int64_t hidden = layer.linear1.bias.elements();
  const auto linear = [&](const char* panels, const char* bias, const PackedLinear& weights,
                          std::int64_t in, std::int64_t out) {
    check_linear(x, {panels, weights.panels}, {bias, weights.bias}, in, out);
  };
  linear("qkv panels", "qkv bias", layer.qkv, width, 2 * queries + values);
  linear("out panels", "out bias", layer.out, values, width);
  linear("linear1 panels", "linear1 bias", layer.linear1, width, hidden);
  linear("linear2 panels", "linear2 bias", layer.linear2, hidden, width);
  check_norm(x, layer.norm1);
  check_norm(x, layer.norm2);
}

void check_state(const EncoderStep& step, const StepLayer& layer, const StepState& state) {
  const Check check("encoder_step");
  check.required({{"state", state.first}, {"state", state.second}});
  check.alike({{"x", step.x}, {"state", state.first}, {"state", state.second}});
  check.contiguous({{"state", state.first}, {"state", state.second}});
  const Shape& first = state.first.shape();
  const bool linear = layer.rule.kind == StepRule::Kind::causal_linear;
  const std::int64_t queries = layer.query_width, values = layer.value_width;
  const bool fits = first.rank() == 4 && first[0] == step.x.size(0) && first[1] == layer.heads &&
                    first[linear ? 2 : 3] == queries && (!linear || first[3] == values);
  TARN_CHECK_SHAPE(fits, "encoder_step: the state ", first, " does not belong to x ",
                   step.x.shape(), " and ", layer.heads, " heads of ", queries);
  TARN_CHECK_SHAPE(linear || (step.position >= 0 && step.position < first[2]),
                   "encoder_step: position ", step.position, " is past the cache's ", first[2],
                   " positions");
  const Shape second = linear ? first.without_last() : first.without_last().with(values);
  TARN_CHECK_SHAPE(state.second.shape() == second, "encoder_step: the state ", first, " and ",
                   state.second.shape(), " does not belong together");
}

}  // namespace

PackedLinear pack_linear(const Tensor& weight, const Tensor& bias, DType storage) {
  const Check check("pack_linear");
  check.required({{"weight", weight}, {"bias", bias}});
  check.floats({{"weight", weight}, {"bias", bias}});
  check.rank({"weight", weight}, 2, "[out, in]");
  check.widths({"weight", weight}, 2);
  check.shape({"bias", bias}, {weight.size(0)});
  check.contiguous({{"weight", weight}, {"bias", bias}});
  TARN_CHECK_AS(
      DTypeError,
      storage == weight.dtype() || (storage == DType::bf16 && weight.dtype() == DType::f32),
      "pack_linear: a weight in ", name_of(weight.dtype()), " cannot be stored in ",
      name_of(storage));
  const Shape shape = kernels::packed_shape(weight.size(0), weight.size(1), storage);
  PackedLinear linear{Tensor::empty(shape, storage, weight.device()), Tensor::empty_like(bias)};
  kernels::run(&Table::pack_weight, weight.device(), {.weight = weight, .panels = linear.panels});
  kernels::run(&Table::copy, bias.device(), {.from = bias, .to = linear.bias});
  return linear;
}

Tensor encoder_step(const EncoderStep& step) {
  const Check check("encoder_step");
  check.floats({{"x", step.x}});
  check.rank({"x", step.x}, 2, "[N, width]");
  check.widths({"x", step.x});
  check.contiguous({{"x", step.x}});
  TARN_CHECK_SHAPE(step.layers.size() == step.states.size(), "encoder_step: ", step.layers.size(),
                   " layers and a state of ", step.states.size());
  for (std::size_t i = 0; i < step.layers.size(); ++i) {
    check_layer(step.x, step.layers[i], step.layers[0]);
    check_state(step, step.layers[i], step.states[i]);
  }
  check_norm(step.x, step.norm);
  if (step.device_position.defined()) {
    check.integers({"device_position", step.device_position}, {1}, step.x.device());
  }
  if (step.head.panels.defined()) {
    check.required({{"head bias", step.head.bias}});
    check_linear(step.x, {"head panels", step.head.panels}, {"head bias", step.head.bias},
                 step.x.size(1), step.head.bias.elements());
  }
  const std::int64_t outputs =
      step.head.panels.defined() ? step.head.bias.elements() : step.x.size(1);
  const auto make = [&](const Shape& shape) {
    return Tensor::empty(shape, step.x.dtype(), step.x.device());
  };
  kernels::EncoderStepArgs args{.x = step.x,
                                .layers = step.layers,
                                .states = step.states,
                                .norm = step.norm,
                                .head = step.head,
                                .position = step.position,
                                .device_position = step.device_position,
                                .out = make({step.x.size(0), outputs})};
  kernels::run(&Table::encoder_step, step.x.device(), args);
  return args.out;
}

}  // namespace tarn::ad
