// The models of speech: their names, and that padding changes nothing before it.
#include "nn/speech_model.h"

#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <memory>

#include "autograd/tape.h"
#include "tests/nn/tokens.h"

namespace tarn::nn {
namespace {

constexpr std::int64_t kFeatures = 40, kPhones = 7;

struct Kind {
  std::string name;
  std::function<std::unique_ptr<SpeechModel>(DType)> make;
};

std::unique_ptr<SpeechModel> transformer(const std::string& attention, DType dtype) {
  return std::make_unique<SpeechTransformer>(
      test::build_of(dtype),
      SpeechTransformerOptions{.encoder = test::small_options(attention).encoder,
                               .features = kFeatures,
                               .outputs = kPhones,
                               .max_length = 100});
}

std::vector<Kind> kinds() {
  std::vector<Kind> kinds;
  for (const std::string_view attention : attention_kinds()) {
    if (attention == "causal-linear") continue;  // does not see the whole utterance
    const std::string name(attention);
    kinds.push_back({name, [=](DType dtype) { return transformer(name, dtype); }});
  }
  kinds.push_back({"bilstm", [](DType dtype) {
                     return std::make_unique<SpeechLstm>(
                         test::build_of(dtype),
                         BiLstmOptions{.input = kFeatures, .hidden = 20, .layers = 2}, kPhones);
                   }});
  return kinds;
}

// Logits, and the gradients of all parameters for one of the logits that is 0 behind the lengths.
struct Result {
  Tensor logits;
  std::vector<Tensor> gradients;
};

Result run(const SpeechModel& model, const Tensor& features, const Tensor& lengths,
           const Tensor& grad) {
  for (ad::Parameter* parameter : model.parameters()) parameter->clear_grad();
  ad::Tape tape;
  Result result;
  {
    const ad::Recording recording = tape.record();
    result.logits = model.forward(features, lengths, {});
  }
  tape.backward(result.logits, grad);
  for (const ad::Parameter* parameter : model.parameters()) {
    // lsh has a key projection, as the authors' library, and does not use it.
    if (parameter->has_grad()) result.gradients.push_back(test::copy_of(parameter->grad()));
  }
  return result;
}

// In units of the largest of all.
double largest_difference(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  REQUIRE(a.size() == b.size());
  double unit = 0, difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    unit = std::max(unit, test::max_abs(b[i]));
    difference = std::max(difference, test::max_abs_difference(a[i], b[i]));
  }
  return difference / unit;
}

// Each utterance alone and unpadded against itself beside longer ones, its padding full of junk.
void check_padding(const Kind& kind, DType dtype, double tolerance) {
  const std::unique_ptr<SpeechModel> model = kind.make(dtype);
  const std::vector<double> lengths = {63, 100, 1, 33};
  const Shape shape{4, 100, kFeatures};
  const Tensor features = test::random_tensor(shape, dtype, "features");
  for (std::int64_t n = 0; n < 4; ++n) {
    CAPTURE(n);
    const auto length = static_cast<std::int64_t>(lengths[static_cast<std::size_t>(n)]);
    const Tensor grad = test::full({4, 100, kPhones}, dtype, 0);
    test::fill_normal(test::prefix(grad, n, length), "grad");
    const Result beside = run(*model, features, test::lengths_of(lengths), grad);
    CHECK(std::isfinite(test::max_abs(beside.logits)));
    for (const bool with_length : {false, true}) {
      const Result alone =
          run(*model, test::copy_of(test::prefix(features, n, length)),
              with_length ? test::lengths_of({static_cast<double>(length)}) : Tensor(),
              test::copy_of(test::prefix(grad, n, length)));
      CHECK(test::max_abs_difference(test::prefix(beside.logits, n, length), alone.logits) <
            tolerance);
      CHECK(largest_difference(beside.gradients, alone.gradients) < tolerance);
    }
  }
}

TEST_CASE("speech model: padding changes neither logits nor gradients, in f32") {
  for (const Kind& kind : kinds()) {
    CAPTURE(kind.name);
    check_padding(kind, DType::f32, 1e-5);
  }
}

TEST_CASE("speech model: padding changes neither logits nor gradients, in f64") {
  for (const Kind& kind : kinds()) {
    CAPTURE(kind.name);
    check_padding(kind, DType::f64, 1e-12);
  }
}

TEST_CASE("speech model: the paper's transformer has its number of parameters") {
  const SpeechTransformer model(test::build_of(), {.encoder = {.attention = "linear",
                                                               .layers = 9,
                                                               .heads = 6,
                                                               .head_dim = 32,
                                                               .feed_forward = 768},
                                                   .features = 40,
                                                   .outputs = 40});
  std::int64_t numbers = 0;
  for (const ad::Parameter* parameter : model.parameters()) {
    numbers += parameter->value().elements();
  }
  // The layers, the norm behind them, the projections in and out.
  CHECK(numbers == 4003776 + 2 * 192 + (40 * 96 + 96) + (192 * 40 + 40));
}

TEST_CASE("speech model: names") {
  const std::unique_ptr<SpeechModel> model = transformer("full", DType::f32);
  REQUIRE(model->buffers().size() == 1);
  CHECK(model->buffers()[0].name == "pos_embedding.pe");
  const auto parameters = model->parameters();
  CHECK(parameters.front()->name() == "input_projection.weight");
  CHECK(parameters.front()->value().shape() == Shape{16, kFeatures});
  CHECK(parameters.back()->name() == "predictor.bias");
  CHECK(kinds().back().make(DType::f32)->parameters().front()->name() == "lstm.weight_ih_l0");
}

TEST_CASE("speech model: an utterance longer than the positions is an error") {
  const std::unique_ptr<SpeechModel> model = transformer("linear", DType::f32);
  CHECK_THROWS_AS(model->forward(test::full({1, 101, kFeatures}, DType::f32, 0), {}, {}),
                  ShapeError);
}

}  // namespace
}  // namespace tarn::nn
