// A small encoder with random weights and a state, as the kernel encoder_step takes them.
#pragma once

#include <cmath>
#include <vector>

#include "core/transfer.h"
#include "kernels/encoder_step.h"
#include "kernels/table.h"
#include "tests/support/random_tensor.h"

namespace tarn::test {

struct EncoderStepSizes {
  std::int64_t rows = 3, width = 40, heads = 2, query_width = 9, value_width = 12, hidden = 50;
  std::int64_t layers = 2, outputs = 30;  // outputs 0: no head
  std::int64_t capacity = 7, position = 4;
  kernels::StepRule rule = {};
  kernels::Unary activation = kernels::Unary::relu;
};

// A linear layer, its weight both as it is and as steps read it, where it loses nothing.
struct DenseLinear {
  Tensor weight, bias;         // undefined: none
  std::vector<double> values;  // of the weight, row by row
  kernels::PackedLinear panels;

  static DenseLinear random(std::int64_t in, std::int64_t out, DType dtype, DType storage,
                            const std::string& name) {
    DenseLinear linear{
        random_tensor({out, in}, dtype, name), random_tensor({out}, dtype, name), {}, {}};
    for (std::int64_t i = 0; i < out * in; ++i) {
      double value = get(linear.weight, i) / std::sqrt(static_cast<double>(in));
      if (storage == DType::bf16) value = std::round(value * 64) / 64;  // which bf16 holds
      set(linear.weight, i, value);
    }
    linear.values = to_vector(linear.weight);
    const Tensor panels =
        Tensor::empty(kernels::packed_shape(out, in, storage), storage, Device::cpu());
    kernels::run(&kernels::Table::pack_weight, Device::cpu(),
                 {.weight = linear.weight, .panels = panels});
    linear.panels = {panels, linear.bias};
    return linear;
  }
};

// The layers' products in the order of use, four a layer, and the head.
struct EncoderStepProblem {
  EncoderStepProblem(const EncoderStepSizes& s, DType dtype, DType storage) : sizes(s) {
    const auto norm = [&](const std::string& name) {
      return kernels::NormWeights{random_tensor({s.width}, dtype, name + "w"),
                                  random_tensor({s.width}, dtype, name + "b"), 1e-5};
    };
    const std::int64_t queries = s.heads * s.query_width, values = s.heads * s.value_width;
    for (std::int64_t i = 0; i < s.layers; ++i) {
      const std::string at = message("layer", i);
      const auto add = [&](std::int64_t inputs, std::int64_t outputs, const char* name) {
        dense.push_back(DenseLinear::random(inputs, outputs, dtype, storage, at + name));
        return dense.back().panels;
      };
      kernels::StepLayer layer;
      layer.qkv = add(s.width, 2 * queries + values, "qkv");
      layer.out = add(values, s.width, "out");
      layer.linear1 = add(s.width, s.hidden, "linear1");
      layer.linear2 = add(s.hidden, s.width, "linear2");
      layer.norm1 = norm(at + "norm1");
      layer.norm2 = norm(at + "norm2");
      layer.rule = s.rule;
      layer.heads = s.heads;
      layer.query_width = s.query_width;
      layer.value_width = s.value_width;
      layer.activation = s.activation;
      layers.push_back(layer);
      states.push_back(random_state(dtype, at));
    }
    final_norm = norm("norm");
    if (s.outputs > 0) head = DenseLinear::random(s.width, s.outputs, dtype, storage, "head");
    x = random_tensor({s.rows, s.width}, dtype, "x");
    out = full({s.rows, s.outputs > 0 ? s.outputs : s.width}, dtype, std::nan(""));
  }

  // Sums of positive keys, as a feature map leaves them, or any keys and values.
  kernels::StepState random_state(DType dtype, const std::string& name) const {
    const EncoderStepSizes& s = sizes;
    if (s.rule.kind == kernels::StepRule::Kind::softmax) {
      return {random_tensor({s.rows, s.heads, s.capacity, s.query_width}, dtype, name + "keys"),
              random_tensor({s.rows, s.heads, s.capacity, s.value_width}, dtype, name + "values")};
    }
    const Shape z{s.rows, s.heads, s.query_width};
    const Tensor key_sum = random_tensor(z, dtype, name + "key_sum");
    for (std::int64_t i = 0; i < key_sum.elements(); ++i) {
      set(key_sum, i, std::abs(get(key_sum, i)) + 1);
    }
    return {random_tensor(z.with(s.value_width), dtype, name + "sum"), key_sum};
  }

  // The same problem on a device, its weights packed there.
  EncoderStepProblem on(Device device) const {
    EncoderStepProblem moved = *this;
    const auto move = [&](Tensor& tensor) {
      if (tensor.defined()) tensor = copy_to(tensor, device);
    };
    const auto move_linear = [&](const DenseLinear& linear) {
      if (!linear.weight.defined()) return kernels::PackedLinear{};
      const Tensor& panels = linear.panels.panels;
      kernels::PackedLinear packed{Tensor::empty(panels.shape(), panels.dtype(), device),
                                   copy_to(linear.bias, device)};
      kernels::run(&kernels::Table::pack_weight, device,
                   {.weight = copy_to(linear.weight, device), .panels = packed.panels});
      return packed;
    };
    for (std::size_t i = 0; i < layers.size(); ++i) {
      kernels::StepLayer& layer = moved.layers[i];
      layer.qkv = move_linear(dense[4 * i]);
      layer.out = move_linear(dense[4 * i + 1]);
      layer.linear1 = move_linear(dense[4 * i + 2]);
      layer.linear2 = move_linear(dense[4 * i + 3]);
      for (kernels::NormWeights* norm : {&layer.norm1, &layer.norm2}) {
        move(norm->weight);
        move(norm->bias);
      }
      move(moved.states[i].first);
      move(moved.states[i].second);
    }
    moved.head.panels = move_linear(head);
    move(moved.final_norm.weight);
    move(moved.final_norm.bias);
    move(moved.x);
    move(moved.out);
    return moved;
  }

  void run() const {
    kernels::EncoderStepArgs args{.x = x,
                                  .layers = layers,
                                  .states = states,
                                  .norm = final_norm,
                                  .head = head.panels,
                                  .position = sizes.position,
                                  .out = out};
    kernels::run(&kernels::Table::encoder_step, x.device(), args);
  }

  EncoderStepSizes sizes;
  std::vector<DenseLinear> dense;
  DenseLinear head;
  std::vector<kernels::StepLayer> layers;
  std::vector<kernels::StepState> states;
  kernels::NormWeights final_norm;
  Tensor x, out;
};

}  // namespace tarn::test
