// What recorded ops keep, by the allocator's own count.
#include <doctest/doctest.h>

#include <functional>
#include <vector>

#include "autograd/causal_linear_attention.h"
#include "autograd/cross_entropy.h"
#include "autograd/layer_norm.h"
#include "autograd/linear.h"
#include "autograd/tape.h"
#include "autograd/unary.h"
#include "core/allocator.h"
#include "kernels/optimizer.h"
#include "kernels/table.h"
#include "tests/support/random_tensor.h"

namespace tarn::ad {
namespace {

using test::random_tensor;

std::int64_t live() { return allocator(Device::cpu()).stats().live; }

// What tensors of these shapes take, in blocks.
std::int64_t bytes_of(const std::vector<Shape>& shapes) {
  const std::int64_t before = live();
  std::vector<Tensor> tensors;
  for (const Shape& s : shapes) tensors.push_back(Tensor::empty(s, DType::f32, Device::cpu()));
  return live() - before;
}

struct Layers {
  Tensor x = random_tensor({40, 24}, DType::f32, "x");
  Tensor heads = test::full({2, 40, 3, 8}, DType::f32, 0.5);
  Parameter weight{"weight", random_tensor({56, 24}, DType::f32, "weight")};
  Parameter gain{"gain", test::full({24}, DType::f32, 1)};
  Parameter bias{"bias", test::full({24}, DType::f32, 0)};
  Parameter query{"query", test::full({2, 40, 3, 8}, DType::f32, 0.5)};
};

// Bytes that stay once the op has returned: with its output, and after that is dropped.
struct Kept {
  std::int64_t with_output, without;
};
Kept kept_by(const std::function<Tensor(Layers&)>& op, bool recording) {
  Layers layers;
  Tape tape;
  std::optional<Recording> open;
  if (recording) open.emplace(tape);
  const std::int64_t before = live();
  Tensor out = op(layers);
  Kept kept{live() - before, 0};
  out = Tensor();
  kept.without = live() - before;
  return kept;
}

std::function<Tensor(Layers&)> linear_with(Unary activation, double dropout = 0) {
  return [=](Layers& l) {
    return linear(l.x, l.weight.tensor(), {}, {activation, dropout, {1, 2, 3}});
  };
}

TEST_CASE("tape: linear saves its input, and what its activation needs") {
  const std::int64_t out = bytes_of({{40, 56}});
  for (const double dropout : {0.0, 0.5}) {
    const Kept plain = kept_by(linear_with(Unary::identity, dropout), true);
    CHECK(plain.with_output == out);
    CHECK(plain.without == 0);
    for (const Unary op : {Unary::relu, Unary::elu_plus_one}) {
      const Kept from_output = kept_by(linear_with(op, dropout), true);
      CHECK(from_output.with_output == out);
      CHECK(from_output.without == out);
    }
    const Kept from_input = kept_by(linear_with(Unary::gelu, dropout), true);
    CHECK(from_input.with_output == 2 * out);
    CHECK(from_input.without == out);
  }
}

TEST_CASE("tape: layer_norm saves its sum and two numbers a row") {
  const Kept plain = kept_by(
      [](Layers& l) { return layer_norm(l.x, l.gain.tensor(), l.bias.tensor(), 1e-5); }, true);
  CHECK(plain.with_output == bytes_of({{40, 24}, {40}, {40}}));
  CHECK(plain.without == bytes_of({{40}, {40}}));
  const Kept branched = kept_by(
      [](Layers& l) {
        return add_layer_norm(l.x, l.x, 0.5, {1, 2, 3}, l.gain.tensor(), l.bias.tensor(), 1e-5);
      },
      true);
  CHECK(branched.with_output == bytes_of({{40, 24}, {40, 24}, {40}, {40}}));
  CHECK(branched.without == bytes_of({{40, 24}, {40}, {40}}));
}

TEST_CASE("tape: causal linear attention saves its output and one number a position") {
  const Kept kept = kept_by(
      [](Layers& l) {
        return causal_linear_attention({l.query.tensor(), l.heads, l.heads}, {}, 1e-6);
      },
      true);
  CHECK(kept.with_output == bytes_of({{2, 40, 3, 8}, {2, 3, 40}}));
  CHECK(kept.without == kept.with_output);
}

TEST_CASE("tape: nothing is saved without a recording") {
  const Kept linear_kept = kept_by(linear_with(Unary::gelu, 0.5), false);
  CHECK(linear_kept.with_output == bytes_of({{40, 56}}));
  CHECK(linear_kept.without == 0);
  const Kept norm_kept = kept_by(
      [](Layers& l) {
        return add_layer_norm(l.x, l.x, 0.5, {}, l.gain.tensor(), l.bias.tensor(), 1e-5);
      },
      false);
  CHECK(norm_kept.with_output == bytes_of({{40, 24}}));
  const Kept attention_kept = kept_by(
      [](Layers& l) {
        return causal_linear_attention({l.query.tensor(), l.heads, l.heads}, {}, 1e-6);
      },
      false);
  CHECK(attention_kept.with_output == bytes_of({{2, 40, 3, 8}}));
}

// Hands the gradient on, and notes what is alive when it does.
struct Log {
  int alive = 0;
  std::vector<int> alive_at;
  std::vector<std::int64_t> live_at;
};
class Probe final : public Node {
 public:
  explicit Probe(Log& log) : log_(log) { ++log_.alive; }
  ~Probe() override { --log_.alive; }
  const char* name() const override { return "probe"; }
  std::vector<SavedTensor> saved() const override { return {}; }
  void backward(const Tensor& grad_out, InputGrads& inputs) override {
    log_.alive_at.push_back(log_.alive);
    log_.live_at.push_back(live());
    const GradTarget target = inputs.target(0);
    for (std::int64_t i = 0; i < grad_out.elements(); ++i) {
      test::set(target.tensor, i, test::get(grad_out, i));
    }
  }

 private:
  Log& log_;
};
Tensor probe(const Tensor& x, Log& log) {
  Tensor out = x;
  out.slot = {};
  return recorded<Probe>(out, {&x}, log);
}

TEST_CASE("tape: nodes die and memory falls along backward") {
  constexpr int kLayers = 6;
  Parameter weight("weight", random_tensor({32, 32}, DType::f32, "weight"));
  Log log;
  Tape tape;
  Tensor x = random_tensor({64, 32}, DType::f32, "x");
  const std::int64_t before = live();
  {
    const Recording recording = tape.record();
    for (int i = 0; i < kLayers; ++i) {
      x = probe(linear(x, weight.tensor(), {}, {.activation = Unary::gelu}), log);
    }
  }
  REQUIRE(log.alive == kLayers);
  const Tensor seed = test::full({64, 32}, DType::f32, 1);
  tape.backward(x, seed);
  REQUIRE(log.alive_at.size() == kLayers);
  const std::int64_t layer = bytes_of({{64, 32}, {64, 32}});  // an output and a pre-activation
  for (int i = 0; i < kLayers; ++i) {
    CHECK(log.alive_at[static_cast<std::size_t>(i)] == kLayers - i);
    if (i < 2) continue;  // the first also sees the output that the caller holds, and no gradient
    const auto at = static_cast<std::size_t>(i);
    CHECK(log.live_at[at] == log.live_at[at - 1] - layer);
  }
  CHECK(log.alive == 0);
  x = Tensor();
  // x, the one thing `before` counted that is gone, equals the seed in size; the gradient stays.
  CHECK(live() - before == bytes_of({{32, 32}}));
}

TEST_CASE("tape: step 3 of training asks the system for nothing") {
  { const Tensor freed = Tensor::empty({1000}, DType::f32, Device::cpu()); }
  if (allocator(Device::cpu()).stats().cached == 0) return;  // under ASan nothing is kept
  Layers l;
  Parameter out("out", random_tensor({5, 56}, DType::f32, "out"));
  std::vector<Tensor> velocities;
  const std::vector<Parameter*> parameters = {&l.weight, &l.gain, &l.bias, &out};
  for (Parameter* p : parameters)
    velocities.push_back(test::full(p->value().shape(), DType::f32, 0));
  const Tensor targets = test::full({40}, DType::i32, 1), weights = test::full({40}, DType::f32, 1);
  std::int64_t blocks = 0;
  for (int step = 1; step <= 5; ++step) {
    Tape tape;
    Tensor loss;
    {
      const Recording recording = tape.record();
      Tensor x = add_layer_norm(l.x, l.x, 0.1, {1, 2, 3}, l.gain.tensor(), l.bias.tensor(), 1e-5);
      x = linear(x, l.weight.tensor(), {}, {.activation = Unary::gelu});
      loss = cross_entropy(linear(x, out.tensor(), {}), targets, weights).loss;
    }
    tape.backward(loss);
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      kernels::run(&kernels::Table::sgd_step, Device::cpu(),
                   {.value = {parameters[i]->value()},
                    .gradients = {.grad = {parameters[i]->grad()}},
                    .velocity = {velocities[i]},
                    .lr = 0.1,
                    .momentum = 0.9});
      parameters[i]->clear_grad();
    }
    const std::int64_t now = allocator(Device::cpu()).stats().system_blocks;
    if (step >= 3) CHECK(now == blocks);
    blocks = now;
  }
}

}  // namespace
}  // namespace tarn::ad
