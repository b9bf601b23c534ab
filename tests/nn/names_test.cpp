// Names and shapes are the checkpoint format and that of the authors' library: changing one breaks
// every saved model.
#include <doctest/doctest.h>

#include <map>
#include <string>

#include "core/check.h"
#include "tests/nn/tokens.h"

namespace tarn::nn {
namespace {

// A line each for the buffers, then the parameters in their order.
std::string listing(const Module& module) {
  std::string text;
  for (const Buffer& buffer : module.buffers()) {
    text += message(buffer.name, " ", buffer.value.shape(), "\n");
  }
  for (const ad::Parameter* parameter : module.parameters()) {
    text += message(parameter->name(), " ", parameter->value().shape(), "\n");
  }
  return text;
}

std::int64_t count(const SequencePredictorOptions& options) {
  const SequencePredictor model(test::build_of(), options);
  std::int64_t numbers = 0;
  for (const ad::Parameter* parameter : model.parameters())
    numbers += parameter->value().elements();
  return numbers;
}

const std::string kLayer = R"(.attention.query_projection.weight [32, 32]
.attention.query_projection.bias [32]
.attention.key_projection.weight [32, 32]
.attention.key_projection.bias [32]
.attention.value_projection.weight [32, 32]
.attention.value_projection.bias [32]
.attention.out_projection.weight [32, 32]
.attention.out_projection.bias [32]
.linear1.weight [128, 32]
.linear1.bias [128]
.linear2.weight [32, 128]
.linear2.bias [32]
.norm1.weight [32]
.norm1.bias [32]
.norm2.weight [32]
.norm2.bias [32]
)";

std::string layer_listing(int layer) {
  std::string text;
  for (std::size_t begin = 0; begin < kLayer.size();) {
    const std::size_t end = kLayer.find('\n', begin) + 1;
    text += message("transformer.layers.", layer, kLayer.substr(begin, end - begin));
    begin = end;
  }
  return text;
}

TEST_CASE("names: every tensor of the model, its shape, and the order") {
  const std::string expected = "pos_embedding.pe [1, 64, 16]\nvalue_embedding.weight [11, 16]\n" +
                               layer_listing(0) + layer_listing(1) +
                               "transformer.norm.weight [32]\ntransformer.norm.bias [32]\n"
                               "predictor.weight [11, 32]\npredictor.bias [11]\n";
  // The attentions have no parameters of their own, so that weights move between them.
  for (const std::string_view kind : attention_kinds()) {
    CAPTURE(kind);
    const SequencePredictor model(test::build_of(), test::small_options(std::string(kind)));
    CHECK(listing(model) == expected);
  }
}

TEST_CASE("names: the paper's models have as many parameters as the authors'") {
  SequencePredictorOptions copy;
  CHECK(count(copy) == 3163787);
  SequencePredictorOptions mnist;
  mnist.encoder.layers = 8;
  mnist.vocabulary = 256;
  mnist.outputs = 30;
  mnist.max_length = 784;
  CHECK(count(mnist) == 6359070);
  SequencePredictorOptions cifar = mnist;
  cifar.encoder.layers = 16;
  cifar.max_length = 3072;
  CHECK(count(cifar) == 12677150);
}

TEST_CASE("names: positions are sines and cosines, and saved with the model") {
  const SequencePredictor model(test::build_of(), test::small_options("full", 100));
  const auto buffers = model.buffers();
  REQUIRE(buffers.size() == 1);
  const Tensor& pe = buffers[0].value;
  for (const std::int64_t t : {0, 1, 50, 99}) {
    for (std::int64_t i = 0; i < 8; ++i) {
      const double frequency = std::exp(-2.0 * static_cast<double>(i) * std::log(10000.0) / 16);
      const double angle = static_cast<double>(t) * frequency;
      CHECK(test::get(pe, {0, t, 2 * i}) == doctest::Approx(std::sin(angle)).epsilon(1e-6));
      CHECK(test::get(pe, {0, t, 2 * i + 1}) == doctest::Approx(std::cos(angle)).epsilon(1e-6));
    }
  }
}

}  // namespace
}  // namespace tarn::nn
