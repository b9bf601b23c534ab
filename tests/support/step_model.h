// A small encoder of random weights as kernels/encoder_step.h takes it.
#pragma once

#include <vector>

#include "kernels/encoder_step.h"
#include "kernels/table.h"
#include "tests/support/random_tensor.h"

namespace tarn::test {

struct StepModel {
  static constexpr std::int64_t kBatch = 3, kHeads = 2, kWidth = 5, kCapacity = 4, kInner = 37;
  static constexpr std::int64_t kModel = kHeads * kWidth;
  struct Weights {  // [out, in], [out]
    Tensor weight, bias;
  };

  StepModel(DType dtype, kernels::StepRule::Kind kind) : x(random({kBatch, kModel}, dtype, "x")) {
    for (int l = 0; l < 2; ++l) {
      const auto linear = [&](const char* name, std::int64_t out, std::int64_t in) {
        plain.push_back({random({out, in}, dtype, message(name, l)),
                         random({out}, dtype, message(name, l, "bias"))});
        return packed(plain.back());
      };
      const auto norm = [&](const char* name) {
        return kernels::NormWeights{random({kModel}, dtype, message(name, l)),
                                    random({kModel}, dtype, message(name, l, "bias"))};
      };
      layers.push_back({.joint = linear("joint", 3 * kModel, kModel),
                        .out = linear("out", kModel, kModel),
                        .linear1 = linear("linear1", kInner, kModel),
                        .linear2 = linear("linear2", kModel, kInner),
                        .norm1 = norm("norm1"),
                        .norm2 = norm("norm2"),
                        .rule = {.kind = kind, .eps = 0, .scale = 0.4},
                        .heads = kHeads,
                        .query_width = kWidth,
                        .value_width = kWidth});
      const bool linear_kind = kind == kernels::StepRule::Kind::causal_linear;
      const Shape cache{kBatch, kHeads, kCapacity, kWidth};
      const Shape sum{kBatch, kHeads, kWidth, kWidth};
      memory.push_back(
          {Tensor::zeros(linear_kind ? sum : cache, dtype, Device::cpu()),
           Tensor::zeros(linear_kind ? sum.without_last() : cache, dtype, Device::cpu())});
    }
    last = {random({kModel}, dtype, "last"), random({kModel}, dtype, "lastbias")};
  }

  // One position from x; returns [kBatch, kModel].
  Tensor step(std::int64_t position) const {
    kernels::EncoderStepArgs args{.x = x, .layers = layers, .memory = memory, .norm = last};
    args.position = position;
    args.out = Tensor::empty(x.shape(), x.dtype(), x.device());
    args.scratch = Tensor::empty({kernels::encoder_step_scratch(args)}, x.dtype(), x.device());
    kernels::run(&kernels::Table::encoder_step, x.device(), args);
    return args.out;
  }

  static Tensor random(const Shape& shape, DType dtype, const std::string& name) {
    return random_tensor(shape, dtype, name);
  }
  static kernels::PanelLinear packed(const Weights& w) {
    const Tensor panels =
        Tensor::empty(kernels::panels_shape(w.weight.size(0), w.weight.size(1), w.weight.dtype()),
                      w.weight.dtype(), Device::cpu());
    kernels::run(&kernels::Table::pack_panels, Device::cpu(),
                 {.weight = w.weight, .panels = panels});
    return {panels, w.bias};
  }

  Tensor x;
  std::vector<Weights> plain;  // joint, out, linear1, linear2 of each layer
  std::vector<kernels::StepLayer> layers;
  std::vector<kernels::StepMemory> memory;
  kernels::NormWeights last;
};

}  // namespace tarn::test
