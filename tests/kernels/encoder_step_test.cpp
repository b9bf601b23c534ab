#include "kernels/encoder_step.h"

#include <doctest/doctest.h>

#include <cmath>

#include "tests/reference/attention.h"
#include "tests/reference/ops.h"
#include "tests/support/instruction_sets.h"
#include "tests/support/step_model.h"

namespace tarn::kernels {
namespace {

using test::get;
using test::set;
using test::StepModel;

// The keys and values of a layer so far, as sequences.
struct Past {
  Tensor query, key, value;  // [N, L, H, E], all positions of one x being the same
};

Past past_of(const Tensor& joint, std::int64_t length, bool features) {
  const Shape shape{StepModel::kBatch, length, StepModel::kHeads, StepModel::kWidth};
  const auto part = [&](std::int64_t first, bool mapped) {
    Tensor out = Tensor::empty(shape, DType::f64, Device::cpu());
    for (std::int64_t n = 0; n < shape[0]; ++n) {
      for (std::int64_t l = 0; l < length; ++l) {
        for (std::int64_t i = 0; i < StepModel::kModel; ++i) {
          const double v = get(joint, {n, first + i});
          set(out, {n, l, i / StepModel::kWidth, i % StepModel::kWidth},
              mapped ? (v > 0 ? v + 1 : std::exp(v)) : v);
        }
      }
    }
    return out;
  };
  return {part(0, features), part(StepModel::kModel, features), part(2 * StepModel::kModel, false)};
}

// The same x at every position: so each layer's input does not depend on the position either, since
// a mean of equal values is that value (the model's eps is 0).
Tensor expected(const StepModel& m, std::int64_t length) {
  const bool linear = m.layers[0].rule.kind == StepRule::Kind::causal_linear;
  Tensor x = m.x;
  for (std::size_t l = 0; l < m.layers.size(); ++l) {
    const StepLayer& layer = m.layers[l];
    const auto apply = [&](std::size_t i, const Tensor& in, Unary op) {
      return reference::linear(in, m.plain[4 * l + i].weight, m.plain[4 * l + i].bias, op, 0, {});
    };
    const Past past = past_of(apply(0, x, Unary::identity), length, linear);
    const Tensor attended = linear ? reference::linear_attention({.query = past.query,
                                                                  .key = past.key,
                                                                  .value = past.value,
                                                                  .causal = true,
                                                                  .eps = layer.rule.eps})
                                   : reference::softmax_attention({.query = past.query,
                                                                   .key = past.key,
                                                                   .value = past.value,
                                                                   .causal = true,
                                                                   .scale = layer.rule.scale});
    const Tensor row =
        test::copy_of(attended.select(1, length - 1)).view({StepModel::kBatch, StepModel::kModel});
    const auto norm = [](const Tensor& a, const Tensor& b, const NormWeights& w) {
      return reference::layer_norm(a, b, w.weight, w.bias, w.eps, 0, {}).out;
    };
    const Tensor a = norm(x, apply(1, row, Unary::identity), layer.norm1);
    const Tensor hidden = apply(2, a, Unary::relu);
    x = norm(a, apply(3, hidden, Unary::identity), layer.norm2);
  }
  return reference::layer_norm(x, {}, m.last.weight, m.last.bias, m.last.eps, 0, {}).out;
}

TEST_CASE("encoder_step: three positions equal plain loops") {
  for (const auto kind : {StepRule::Kind::causal_linear, StepRule::Kind::softmax}) {
    for (const DType dtype : {DType::f32, DType::f64}) {
      test::for_each_instruction_set([&](const char* name) {
        CAPTURE(name);
        const StepModel model(dtype, kind);
        for (std::int64_t position = 0; position < 3; ++position) {
          CAPTURE(position);
          const double difference =
              test::relative_difference(model.step(position), expected(model, position + 1));
          CHECK(difference < (dtype == DType::f32 ? 1e-5 : 1e-12));
        }
      });
    }
  }
}

TEST_CASE("pack_panels: each weight lands in its panel, and the rest is zero") {
  const Tensor weight = test::random_tensor({37, 5}, DType::f64, "weight");
  const Tensor panels = StepModel::packed({weight, {}}).panels;
  REQUIRE(panels.shape() == Shape{2, 5, kPanelColumns});
  for (std::int64_t o = 0; o < 2 * kPanelColumns; ++o) {
    for (std::int64_t i = 0; i < 5; ++i) {
      const double wanted = o < 37 ? get(weight, {o, i}) : 0;
      CHECK(get(panels, {o / kPanelColumns, i, o % kPanelColumns}) == wanted);
    }
  }
}

}  // namespace
}  // namespace tarn::kernels
