#include "nn/init.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "core/check.h"
#include "nn/feature_map.h"
#include "nn/lstm.h"
#include "tests/nn/tokens.h"

namespace tarn::nn {
namespace {

using Values = std::map<std::string, std::vector<double>>;

Values values_of(const Module& module) {
  Values values;
  for (const ad::Parameter* parameter : module.parameters()) {
    values[parameter->name()] = test::to_vector(parameter->value());
  }
  return values;
}

Values small_values(std::int64_t layers, std::uint64_t seed) {
  SequencePredictorOptions options = test::small_options("full");
  options.encoder.layers = layers;
  return values_of(SequencePredictor(test::build_of(DType::f32, seed), options));
}

TEST_CASE("init: adding layers does not change the others; seeds and names do") {
  const Values two = small_values(2, 1), four = small_values(4, 1), other = small_values(2, 2);
  CHECK(four.size() == two.size() + 32);
  for (const auto& entry : two) {  // not bindings: clang 14 captures none, and CAPTURE has to
    const std::string& name = entry.first;
    CAPTURE(name);
    CHECK(four.at(name) == entry.second);
    const bool drawn = name.find("norm") == std::string::npos;
    CHECK((other.at(name) != entry.second) == drawn);
  }
  const std::string query = ".attention.query_projection.weight";
  CHECK(two.at("transformer.layers.0" + query) != two.at("transformer.layers.1" + query));
}

TEST_CASE("init: f32 is f64 rounded") {
  const SequencePredictor narrow(test::build_of(DType::f32), test::small_options("full"));
  const SequencePredictor wide(test::build_of(DType::f64), test::small_options("full"));
  const auto a = narrow.parameters(), b = wide.parameters();
  for (std::size_t i = 0; i < a.size(); ++i) {
    CHECK(test::max_abs_difference(a[i]->value(), test::cast(b[i]->value(), DType::f32)) == 0);
  }
}

TEST_CASE("init: linear layers are uniform in the bounds of their inputs, norms 1 and 0") {
  SequencePredictorOptions options;
  options.encoder.layers = 1;
  const SequencePredictor model(test::build_of(), options);
  for (const ad::Parameter* parameter : model.parameters()) {
    const std::string& name = parameter->name();
    const Tensor& value = parameter->value();
    CAPTURE(name);
    if (name.find("norm") != std::string::npos) {
      const double constant = name.ends_with(".weight") ? 1 : 0;
      CHECK(test::max_abs_difference(value, test::full(value.shape(), DType::f32, constant)) == 0);
      continue;
    }
    if (name.starts_with("value_embedding")) continue;
    const double bound = 1 / std::sqrt(name.find("linear2") != std::string::npos ? 1024.0 : 256.0);
    CHECK(test::max_abs(value) <= bound);
    if (value.elements() > 1000) CHECK(test::max_abs(value) > 0.99 * bound);
    double mean = 0, square = 0;
    for (const double x : test::to_vector(value)) {
      mean += x / static_cast<double>(value.elements());
      square += x * x / static_cast<double>(value.elements());
    }
    // Five standard errors.
    const double unit = bound / std::sqrt(static_cast<double>(value.elements()));
    CHECK(std::abs(mean) < 5 * unit * 0.578);
    CHECK(std::abs(square - bound * bound / 3) < 5 * bound * unit * 0.299);
  }
}

TEST_CASE("init: embeddings are standard normals") {
  const Embedding embedding({.path = "e"}, 500, 200);
  const Tensor& weight = embedding.parameters()[0]->value();
  double moments[5] = {};
  const auto n = static_cast<double>(weight.elements());
  for (const double x : test::to_vector(weight)) {
    for (int k = 1; k <= 4; ++k) moments[k] += std::pow(x, k) / n;
  }
  const double unit = 5 / std::sqrt(n);
  CHECK(std::abs(moments[1]) < unit);
  CHECK(std::abs(moments[2] - 1) < unit * std::sqrt(2.0));
  CHECK(std::abs(moments[3]) < unit * std::sqrt(15.0));
  CHECK(std::abs(moments[4] - 3) < unit * std::sqrt(96.0));
}

TEST_CASE("init: a layer of width 0 is refused by its name") {
  CHECK_THROWS_WITH_AS(Linear({.path = "l"}, 0, 3), doctest::Contains("l.weight [3, 0]"),
                       ShapeError);
  CHECK_THROWS_AS(Linear({.path = "l"}, 3, 0), ShapeError);
  CHECK_THROWS_AS(LayerNorm({.path = "l"}, 0), ShapeError);
  CHECK_THROWS_AS(Embedding({.path = "l"}, 0, 4), ShapeError);
  CHECK_THROWS_AS(BiLstm({.path = "l"}, {.input = 4, .hidden = 0}), ShapeError);
  EncoderOptions options = test::small_options("full").encoder;
  options.heads = 0;
  CHECK_THROWS_AS(EncoderLayer(test::build_of(), options), ShapeError);
}

// Computed by another implementation of Philox: what a seed and a name draw is part of the format.
TEST_CASE("init: the first normals of a seed and a name are these") {
  const Embedding embedding({.path = "e", .dtype = DType::f64}, 2, 2);
  const double expected[] = {-2.0360715677596426, 0.8236872537327828, -0.4169789647174599,
                             1.5473838229651433};
  for (std::int64_t i = 0; i < 4; ++i) {
    CHECK(test::get(embedding.parameters()[0]->value(), i) ==
          doctest::Approx(expected[i]).epsilon(1e-13));
  }
}

// With both branches of a layer 1 everywhere and x 0, the output of a position has a value for each
// pair of what the two masks did: four if they are two masks, and two if they are one.
TEST_CASE("dropout: the two branches of an encoder layer draw masks of their own") {
  EncoderOptions options = test::small_options("causal-linear").encoder;
  options.dropout = 0.5;
  const EncoderLayer layer(test::build_of(), options);
  for (const ad::Parameter* parameter : layer.parameters()) {
    const std::string& name = parameter->name();
    const bool branch = name.find("out_projection") != std::string::npos ||
                        name.find("linear2") != std::string::npos;
    if (branch) test::fill(parameter->value(), name.ends_with(".bias") ? 1 : 0);
  }
  const Tensor x = test::full({1, 8, options.width()}, DType::f32, 0);
  const Tensor out = layer.forward(x, {.causal = true, .lengths = {}}, {true, 1, 1});
  std::size_t most = 0;
  for (std::int64_t l = 0; l < 8; ++l) {
    std::set<double> values;
    for (std::int64_t i = 0; i < options.width(); ++i) values.insert(test::get(out, {0, l, i}));
    most = std::max(most, values.size());
  }
  CHECK(most == 4);
}

TEST_CASE("dropout: an encoder drops in training only, by seed and step") {
  for (const char* attention : {"full", "causal-linear", "lsh"}) {
    const SequencePredictor model(test::build_of(), test::small_options(attention));
    const Tensor tokens = test::random_tokens({2, 20}, 11, "a");
    const AttentionMask mask{.causal = true, .lengths = {}};
    const Tensor still = model.forward(tokens, mask, {});
    CHECK(test::max_abs_difference(model.forward(tokens, mask, {false, 9, 9}), still) == 0);
    const Tensor dropped = model.forward(tokens, mask, {true, 1, 1});
    CHECK(test::max_abs_difference(dropped, still) > 0.01);
    CHECK(test::max_abs_difference(model.forward(tokens, mask, {true, 1, 1}), dropped) == 0);
    CHECK(test::max_abs_difference(model.forward(tokens, mask, {true, 1, 2}), dropped) > 0.01);
    CHECK(test::max_abs_difference(model.forward(tokens, mask, {true, 2, 1}), dropped) > 0.01);
  }
}

TEST_CASE("encoder: gelu is another activation than relu") {
  SequencePredictorOptions options = test::small_options("causal-linear");
  const Tensor tokens = test::random_tokens({2, 20}, 11, "a");
  const AttentionMask mask{.causal = true, .lengths = {}};
  const SequencePredictor relu(test::build_of(), options);
  options.encoder.activation = ad::Unary::gelu;
  const SequencePredictor gelu(test::build_of(), options);
  const Tensor out = gelu.forward(tokens, mask, {});
  CHECK(std::isfinite(test::max_abs(out)));
  CHECK(test::max_abs_difference(out, relu.forward(tokens, mask, {})) > 1e-3);
}

TEST_CASE("registry: unknown attentions and feature maps list what there is") {
  CHECK(attention_kinds() ==
        std::vector<std::string_view>{"full", "linear", "causal-linear", "lsh"});
  CHECK_THROWS_WITH_AS(make_attention("local", test::build_of(), {}),
                       "\"local\" is not a kind of attention; there are full, linear, "
                       "causal-linear, lsh",
                       ConfigError);
  CHECK_THROWS_WITH_AS(find_feature_map("favor"),
                       "\"favor\" is not a feature map; there are elu+1, relu, identity",
                       ConfigError);
  SequencePredictorOptions options = test::small_options("causal-linear");
  options.encoder.feature_map = "favor";
  CHECK_THROWS_AS(SequencePredictor(test::build_of(), options), ConfigError);
}

}  // namespace
}  // namespace tarn::nn
