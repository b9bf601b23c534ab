#include "nn/lstm.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <map>
#include <string>

#include "core/check.h"
#include "core/io/safetensors.h"
#include "core/transfer.h"
#include "tests/nn/tokens.h"
#include "tests/support/paths.h"

namespace tarn::nn {
namespace {

using test::build_of;
using test::random_tensor;

SafetensorsFile golden() {
  return SafetensorsFile(test::source_dir() / "tests" / "golden" / "lstm_bi2.safetensors");
}

TEST_CASE("bi_lstm: names, shapes and order are torch.nn.LSTM's") {
  const BiLstm model(build_of(), {.input = 4, .hidden = 3, .layers = 2});
  std::string listing;
  for (const ad::Parameter* parameter : model.parameters()) {
    listing += message(parameter->name(), " ", parameter->value().shape(), "\n");
  }
  CHECK(listing == R"(weight_ih_l0 [12, 4]
weight_hh_l0 [12, 3]
bias_ih_l0 [12]
bias_hh_l0 [12]
weight_ih_l0_reverse [12, 4]
weight_hh_l0_reverse [12, 3]
bias_ih_l0_reverse [12]
bias_hh_l0_reverse [12]
weight_ih_l1 [12, 6]
weight_hh_l1 [12, 3]
bias_ih_l1 [12]
bias_hh_l1 [12]
weight_ih_l1_reverse [12, 6]
weight_hh_l1_reverse [12, 3]
bias_ih_l1_reverse [12]
bias_hh_l1_reverse [12]
)");
}

TEST_CASE("bi_lstm: initial values fill +-1 / sqrt(hidden), biases too") {
  const BiLstm model(build_of(), {.input = 40, .hidden = 64, .layers = 1});
  for (const ad::Parameter* parameter : model.parameters()) {
    CAPTURE(parameter->name());
    const double largest = test::max_abs(parameter->value());
    CHECK(largest <= 0.125);
    CHECK(largest > 0.12);
  }
}

TEST_CASE("golden: a bidirectional LSTM's output is torch's") {
  const SafetensorsFile file = golden();
  for (const DType dtype : {DType::f32, DType::f64}) {
    const BiLstm model(build_of(dtype), {.input = 12, .hidden = 8, .layers = 2});
    for (const ad::Parameter* parameter : model.parameters()) {
      copy_into(test::cast(file.read("state_dict." + parameter->name()), dtype),
                parameter->value());
    }
    const Tensor out = model.forward(test::cast(file.read("x"), dtype), {}, {});
    const double difference =
        test::max_abs_difference(out, file.read(dtype == DType::f32 ? "output" : "f64.output"));
    CHECK(difference < (dtype == DType::f32 ? 1e-6 : 1e-13));
    MESSAGE(message(name_of(dtype), ": outputs within ", difference));
  }
}

// Forward and backward of a model; the gradients by name, x's as "x".
struct Trained {
  Tensor out;
  std::map<std::string, Tensor> gradients;
};
Trained train(const BiLstm& model, const Tensor& frames, const Tensor& lengths,
              const Tensor& grad_out, const Pass& pass = {}) {
  ad::Parameter x("x", frames);
  ad::Tape tape;
  Trained result;
  {
    const ad::Recording recording = tape.record();
    result.out = model.forward(x.tensor(), lengths, pass);
  }
  tape.backward(result.out, grad_out);
  result.gradients["x"] = test::copy_of(x.grad());
  for (ad::Parameter* parameter : model.parameters()) {
    result.gradients[parameter->name()] = test::copy_of(parameter->grad());
    parameter->clear_grad();
  }
  return result;
}

TEST_CASE("bi_lstm: an utterance alone and beside a longer one, outputs and gradients") {
  const BiLstm model(build_of(), {.input = 5, .hidden = 17, .layers = 3});
  const Tensor x = random_tensor({2, 40, 5}, DType::f32, "x");
  const Tensor grad_out = random_tensor({2, 40, 34}, DType::f32, "grad_out");
  const Tensor short_x = test::copy_of(x.slice(0, 0, 1).slice(1, 0, 11));
  const Tensor short_grad = test::copy_of(grad_out.slice(0, 0, 1).slice(1, 0, 11));
  const Tensor long_x = test::copy_of(x.slice(0, 1, 1));
  const Trained together = train(model, x, test::lengths_of({11, 40}), grad_out);
  const Trained first = train(model, short_x, {}, short_grad);
  const Trained second = train(model, long_x, {}, test::copy_of(grad_out.slice(0, 1, 1)));
  CHECK(test::max_abs_difference(together.out.slice(0, 0, 1).slice(1, 0, 11), first.out) < 1e-6);
  CHECK(test::max_abs_difference(together.out.slice(0, 1, 1), second.out) < 1e-6);
  CHECK(test::max_abs(together.out.slice(0, 0, 1).slice(1, 11, 29)) == 0);
  const Tensor& grad_x = together.gradients.at("x");
  CHECK(test::max_abs(grad_x.slice(0, 0, 1).slice(1, 11, 29)) == 0);
  CHECK(test::relative_difference(grad_x.slice(0, 0, 1).slice(1, 0, 11), first.gradients.at("x")) <
        1e-6);
  for (const auto& entry : first.gradients) {
    if (entry.first == "x") continue;
    CAPTURE(entry.first);
    const Tensor sum = test::cast(entry.second, DType::f64);
    for (std::int64_t i = 0; i < sum.elements(); ++i) {
      test::set(sum, i, test::get(sum, i) + test::get(second.gradients.at(entry.first), i));
    }
    CHECK(test::relative_difference(together.gradients.at(entry.first), sum) < 1e-5);
  }
}

TEST_CASE("bi_lstm: dropout is between layers, in training, by seed and step") {
  const Tensor x = random_tensor({2, 9, 5}, DType::f32, "x");
  const auto out_of = [&](std::int64_t layers, double dropout, const Pass& pass) {
    const BiLstm model(build_of(), {.input = 5, .hidden = 7, .layers = layers, .dropout = dropout});
    return model.forward(x, {}, pass);
  };
  const Pass pass{.training = true, .seed = 3, .step = 4};
  const auto same = [](const Tensor& a, const Tensor& b) {
    return test::max_abs_difference(a, b) == 0;
  };
  CHECK(same(out_of(1, 0.5, pass), out_of(1, 0, pass)));  // one layer has nothing between
  CHECK(same(out_of(2, 0.5, {}), out_of(2, 0, {})));
  CHECK_FALSE(same(out_of(2, 0.5, pass), out_of(2, 0, pass)));
  CHECK(same(out_of(2, 0.5, pass), out_of(2, 0.5, pass)));
  CHECK_FALSE(same(out_of(2, 0.5, pass), out_of(2, 0.5, {true, 3, 5})));
  // The last layer's output is whole: no unit of it is zero.
  const Tensor out = out_of(2, 0.5, pass);
  for (std::int64_t i = 0; i < out.elements(); ++i) CHECK(test::get(out, i) != 0);
}

}  // namespace
}  // namespace tarn::nn
