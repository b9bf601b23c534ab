// Keeping only each layer's input: the same gradients, to the bit, in less memory.
#include "autograd/recompute.h"

#include <doctest/doctest.h>

#include <cstring>

#include "autograd/unary.h"
#include "core/allocator.h"
#include "nn/speech_model.h"
#include "tests/nn/tokens.h"

namespace tarn::nn {
namespace {

struct Step {
  std::vector<Tensor> grads;
  std::int64_t peak = 0;  // bytes beyond what was there before
};

// Of a function of the model that `model` has the parameters of.
template <class Forward>
Step run_step(const Module& model, const Forward& forward) {
  Allocator& memory = allocator(Device::cpu());
  const std::int64_t before = memory.stats().live;
  memory.reset_peak();
  ad::Tape tape;
  Tensor out;
  {
    const ad::Recording recording = tape.record();
    out = forward();
  }
  tape.backward(out, test::random_tensor(out.shape(), DType::f32, "seed"));
  Step step;
  step.peak = memory.stats().peak - before;
  for (ad::Parameter* parameter : model.parameters()) {
    step.grads.push_back(parameter->has_grad() ? copy_to(parameter->grad(), Device::cpu())
                                               : Tensor());
    parameter->clear_grad();
  }
  return step;
}

bool same_bytes(const Tensor& a, const Tensor& b) {
  if (!a.defined() || !b.defined()) return a.defined() == b.defined();
  return std::memcmp(a.raw(), b.raw(), static_cast<std::size_t>(a.bytes())) == 0;
}

// Training steps of forward(pass), with and without: the same bits in less than half the memory.
template <class Forward>
void check_step(const Module& model, const Forward& forward) {
  Pass pass{.training = true, .seed = 3, .step = 5};
  const auto step = [&] { return run_step(model, [&] { return forward(pass); }); };
  step();  // the gradients' own memory
  const Step kept = step();
  pass.recompute = true;
  const Step again = step();
  REQUIRE(kept.grads.size() == again.grads.size());
  for (std::size_t i = 0; i < kept.grads.size(); ++i) {
    CAPTURE(model.parameters()[i]->name());
    CHECK(same_bytes(kept.grads[i], again.grads[i]));
  }
  CHECK(again.peak < kept.peak / 2);
}

TEST_CASE("recompute: the same gradients of every kind of attention, in less memory") {
  for (const char* attention : {"causal-linear", "linear", "full", "lsh"}) {
    CAPTURE(attention);
    SequencePredictorOptions options = test::small_options(attention);
    options.encoder.layers = 6;
    const SequencePredictor model(test::build_of(), options);
    const bool causal = attention != std::string("linear");
    const Tensor tokens = test::random_tokens({4, 50}, 11, "tokens");
    check_step(model, [&](const Pass& pass) {
      return model.forward(tokens, {.causal = causal, .lengths = {}}, pass);
    });
  }
}

TEST_CASE("recompute: the same gradients of speech of unequal lengths, in less memory") {
  const Tensor features = test::random_tensor({4, 63, 40}, DType::f32, "features");
  const Tensor lengths = test::lengths_of({63, 20, 1, 33});
  const auto check = [&](const SpeechModel& model) {
    check_step(model, [&](const Pass& pass) { return model.forward(features, lengths, pass); });
  };
  for (const char* attention : {"linear", "full", "lsh"}) {
    CAPTURE(attention);
    SpeechTransformerOptions options{.encoder = test::small_options(attention).encoder};
    options.encoder.layers = 6;
    check(SpeechTransformer(test::build_of(), options));
  }
  check(SpeechLstm(test::build_of(), {.input = 40, .hidden = 20, .layers = 6, .dropout = 0.2}, 40));
}

TEST_CASE(
    "recompute: without a recording it is the function itself, and leaves nothing on a tape") {
  const Tensor x = test::random_tensor({5}, DType::f64, "x");
  const auto relu = [](const Tensor& in) { return ad::unary(in, ad::Unary::relu); };
  CHECK(same_bytes(ad::recompute(x, relu), relu(x)));
}

TEST_CASE("recompute: a parameter inside gets its gradient though the input wants none") {
  ad::Parameter weight("weight", test::random_tensor({3, 5}, DType::f64, "weight"));
  const Tensor x = test::random_tensor({2, 5}, DType::f64, "x");
  const auto layer = [&](const Tensor& in) { return ad::linear(in, weight.tensor(), {}); };
  const Tensor seed = test::random_tensor({2, 3}, DType::f64, "seed");
  std::vector<Tensor> grads;
  for (const bool again : {false, true}) {
    ad::Tape tape;
    Tensor out;
    {
      const ad::Recording recording = tape.record();
      out = again ? ad::recompute(x, layer) : layer(x);
    }
    tape.backward(out, seed);
    REQUIRE(weight.has_grad());
    grads.push_back(test::copy_of(weight.grad()));
    weight.clear_grad();
  }
  CHECK(same_bytes(grads[0], grads[1]));
}

}  // namespace
}  // namespace tarn::nn
