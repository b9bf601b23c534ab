// The cases of linear, qkv_linear, layer_norm, add_layer_norm, embedding, cross_entropy and
// logistic_mixture.
#include "autograd/cross_entropy.h"
#include "autograd/embedding.h"
#include "autograd/layer_norm.h"
#include "autograd/linear.h"
#include "autograd/logistic_mixture.h"
#include "autograd/qkv_linear.h"
#include "core/transfer.h"
#include "tests/reference/logistic_mixture.h"
#include "tests/reference/ops.h"
#include "tests/support/op_cases.h"

namespace tarn::test {
namespace {

using ad::Unary;

const RngAddress kAddress{7, site_of("op_cases"), 3};
constexpr double kDropout = 0.3;
constexpr double kEps = 1e-5;

const char* name_of(Unary op) {
  switch (op) {
    case Unary::identity:
      return "identity";
    case Unary::relu:
      return "relu";
    case Unary::gelu:
      return "gelu";
    case Unary::elu_plus_one:
      return "elu_plus_one";
  }
  return "?";
}

OpCase linear_case(const std::string& variant, const Shape& x, std::int64_t out, bool biased,
                   Unary op = Unary::identity, double dropout = 0,
                   Layout layout = Layout::contiguous) {
  OpCase c{.variant = message(variant, " x ", x, " out ", out, biased ? " bias " : " no bias ",
                              name_of(op), dropout > 0 ? " dropout" : ""),
           .inputs = {{"x", x, layout}, {"weight", {out, x.back()}}}};
  if (biased) c.inputs.push_back({"bias", {out}});
  c.build = [=](const Tensors& in) {
    return ad::linear(in[0], in[1], biased ? in[2] : Tensor(), {op, dropout, kAddress});
  };
  c.reference = [=](const Tensors& in) {
    return reference::linear(in[0], in[1], biased ? in[2] : Tensor(), op, dropout, kAddress);
  };
  return c;
}

// The parameters are put side by side in build(), each still standing where it stood on the tape.
OpCase qkv_linear_case(const Shape& x, std::int64_t queries, std::int64_t values,
                       Unary activation) {
  OpCase c{.variant = message("x ", x, " to ", queries, ", ", queries, ", ", values),
           .inputs = {{"x", x}}};
  const std::int64_t outs[] = {queries, queries, values};
  for (const std::int64_t out : outs) {
    c.inputs.push_back({message("weight", c.inputs.size()), {out, x.back()}});
    c.inputs.push_back({message("bias", c.inputs.size()), {out}});
  }
  c.build = [=](const Tensors& in) {
    const std::int64_t total = 2 * queries + values;
    ad::QkvLayers layers{.weight = Tensor::empty({total, x.back()}, in[1].dtype(), in[1].device()),
                         .bias = Tensor::empty({total}, in[1].dtype(), in[1].device())};
    for (std::size_t i = 0, first = 0; i < 3; ++i) {
      const Tensor &weight = in[1 + 2 * i], &bias = in[2 + 2 * i];
      const auto at = static_cast<std::int64_t>(first);
      layers.weights[i] = layers.weight.slice(0, at, weight.size(0));
      layers.biases[i] = layers.bias.slice(0, at, weight.size(0));
      copy_into(weight, layers.weights[i]);
      copy_into(bias, layers.biases[i]);
      layers.weights[i].slot = weight.slot;
      layers.biases[i].slot = bias.slot;
      first += static_cast<std::size_t>(weight.size(0));
    }
    return ad::qkv_linear(in[0], layers, activation);
  };
  c.reference = [=](const Tensors& in) {
    const auto part = [&](std::size_t i) { return reference::linear(in[0], in[i], in[i + 1]); };
    return reference::concat(reference::concat(reference::unary(part(1), activation),
                                               reference::unary(part(3), activation)),
                             part(5));
  };
  return c;
}

const Shape kNormShapes[] = {Shape{2, 3, 7}, Shape{9}, Shape{70, 3}};

OpCase norm_case(const Shape& x, bool branched, double dropout) {
  OpCase c{.variant = message("x ", x, dropout > 0 ? " dropout" : ""),
           .inputs = {{"x", x}, {"weight", {x.back()}}, {"bias", {x.back()}}}};
  if (branched) c.inputs.push_back({"branch", x});
  c.build = [=](const Tensors& in) {
    return branched ? ad::add_layer_norm(in[0], in[3], dropout, kAddress, in[1], in[2], kEps)
                    : ad::layer_norm(in[0], in[1], in[2], kEps);
  };
  c.reference = [=](const Tensors& in) {
    const Tensor branch = branched ? in[3] : Tensor();
    return reference::layer_norm(in[0], branch, in[1], in[2], kEps, dropout, kAddress).out;
  };
  return c;
}

OpCase embedding_case(const Shape& tokens, std::int64_t vocabulary, std::int64_t width) {
  OpCase c{.variant = message("tokens ", tokens, " of ", vocabulary, " width ", width),
           .inputs = {{"tokens", tokens}, {"weight", {vocabulary, width}}}};
  c.inputs[0].differentiable = false;
  c.inputs[0].dtype = DType::i32;
  c.inputs[0].value = [=](double, std::int64_t i) {
    return static_cast<double>(i * 7 % vocabulary);
  };
  c.build = [](const Tensors& in) { return ad::embedding(in[0], in[1]); };
  c.reference = [](const Tensors& in) { return reference::embedding(in[0], in[1]); };
  return c;
}

OpCase cross_entropy_case(const Shape& rows, std::int64_t classes) {
  OpCase c{.variant = message("rows ", rows, " classes ", classes),
           .inputs = {{"logits", rows.with(classes)}, {"targets", rows}, {"weights", rows}}};
  c.inputs[1].differentiable = c.inputs[2].differentiable = false;
  c.inputs[1].dtype = DType::i32;
  c.inputs[1].value = [=](double, std::int64_t i) { return static_cast<double>(i * 5 % classes); };
  // Zeros among them, but not in the first place.
  c.inputs[2].value = [](double, std::int64_t i) { return i % 3 == 1 ? 0 : 0.25 * (i % 4 + 1); };
  c.build = [](const Tensors& in) { return ad::cross_entropy(in[0], in[1], in[2]).loss; };
  c.reference = [](const Tensors& in) {
    return reference::cross_entropy(in[0], in[1], in[2]).loss;
  };
  return c;
}

// Targets of all 256 values in turn, the outermost first; log-scales about the middle of what a
// trained model has, `log_scale`.
OpCase logistic_mixture_case(const Shape& rows, std::int64_t mixtures, double log_scale) {
  OpCase c{
      .variant = message("rows ", rows, " mixtures ", mixtures, " log-scales near ", log_scale),
      .inputs = {{"parameters", rows.with(3 * mixtures)}, {"targets", rows}}};
  c.inputs[0].value = [=](double normal, std::int64_t i) {
    const bool is_log_scale = i / mixtures % 3 == 2;
    return is_log_scale ? log_scale + 0.3 * normal : normal;
  };
  c.inputs[1].differentiable = false;
  c.inputs[1].dtype = DType::f32;
  c.inputs[1].value = [](double, std::int64_t i) {
    const std::int64_t pixel = i * 85 % 256;  // 0, 85, 170, 255, 84, ...
    return static_cast<double>(static_cast<float>(pixel) / 255.0F * 2.0F - 1.0F);
  };
  c.build = [](const Tensors& in) { return ad::logistic_mixture(in[0], in[1]).loss; };
  c.reference = [](const Tensors& in) { return reference::logistic_mixture(in[0], in[1]).loss; };
  return c;
}

}  // namespace

std::vector<OpCase> linear_cases() {
  std::vector<OpCase> cases;
  for (const Unary op : {Unary::identity, Unary::relu, Unary::gelu, Unary::elu_plus_one}) {
    for (const bool biased : {false, true}) {
      for (const double dropout : {0.0, kDropout}) {
        cases.push_back(linear_case("small", {2, 3, 5}, 4, biased, op, dropout));
      }
    }
  }
  cases.push_back(linear_case("strided", {2, 3, 5}, 4, true, Unary::gelu, 0, Layout::strided));
  cases.push_back(linear_case("one row", {5}, 3, true));
  cases.push_back(linear_case("one output", {3, 5}, 1, true));
  for (const std::int64_t n : {1, 63, 100, 257}) {
    cases.push_back(linear_case("large", {n, 63}, n, true, Unary::gelu, kDropout));
    cases.push_back(linear_case("large", {3, 21, n}, 100, true, Unary::elu_plus_one));
    cases.back().large = cases.rbegin()[1].large = true;
  }
  OpCase twice{.variant = "the weight used twice",
               .inputs = {{"x", {3, 4}}, {"weight", {4, 4}}, {"bias", {4}}}};
  twice.build = [](const Tensors& in) {
    return ad::linear(ad::linear(in[0], in[1], in[2]), in[1], in[2]);
  };
  twice.reference = [](const Tensors& in) {
    return reference::linear(reference::linear(in[0], in[1], in[2]), in[1], in[2]);
  };
  cases.push_back(twice);
  OpCase itself{.variant = "x is the weight", .inputs = {{"x", {4, 5}}}};
  itself.build = [](const Tensors& in) { return ad::linear(in[0], in[0], {}); };
  itself.reference = [](const Tensors& in) { return reference::linear(in[0], in[0], {}); };
  cases.push_back(itself);
  return cases;
}

std::vector<OpCase> qkv_linear_cases() {
  std::vector<OpCase> cases;
  cases.push_back(qkv_linear_case({2, 3, 5}, 4, 3, Unary::elu_plus_one));
  cases.push_back(qkv_linear_case({7, 1}, 1, 2, Unary::relu));
  for (const std::int64_t n : {1, 63, 100, 257}) {
    cases.push_back(qkv_linear_case({n, 63}, n, 100, Unary::elu_plus_one));
    cases.back().large = true;
  }
  return cases;
}

std::vector<OpCase> layer_norm_cases() {
  std::vector<OpCase> cases;
  for (const Shape& shape : kNormShapes) cases.push_back(norm_case(shape, false, 0));
  for (const std::int64_t n : {1, 63, 100, 257}) {
    cases.push_back(norm_case({n, 257}, false, 0));
    cases.back().large = true;
  }
  return cases;
}

std::vector<OpCase> add_layer_norm_cases() {
  std::vector<OpCase> cases;
  for (const Shape& shape : kNormShapes) {
    cases.push_back(norm_case(shape, true, 0));
    cases.push_back(norm_case(shape, true, kDropout));
  }
  for (const std::int64_t n : {1, 63, 100, 257}) {
    cases.push_back(norm_case({n, 63}, true, kDropout));
    cases.back().large = true;
  }
  OpCase itself = norm_case({2, 3, 7}, true, kDropout);
  itself.variant = "x is the branch";
  itself.inputs.pop_back();
  itself.build = [](const Tensors& in) {
    return ad::add_layer_norm(in[0], in[0], kDropout, kAddress, in[1], in[2], kEps);
  };
  itself.reference = [](const Tensors& in) {
    return reference::layer_norm(in[0], in[0], in[1], in[2], kEps, kDropout, kAddress).out;
  };
  cases.push_back(itself);
  return cases;
}

std::vector<OpCase> embedding_cases() {
  std::vector<OpCase> cases = {embedding_case({2, 5}, 6, 3), embedding_case({7}, 3, 1)};
  for (const std::int64_t n : {1, 63, 100, 257}) {
    cases.push_back(embedding_case({n}, 63, n));
    cases.back().large = true;
  }
  return cases;
}

std::vector<OpCase> cross_entropy_cases() {
  std::vector<OpCase> cases = {cross_entropy_case({2, 5}, 4), cross_entropy_case({}, 3)};
  for (const std::int64_t n : {1, 63, 100, 257}) {
    cases.push_back(cross_entropy_case({n, 3}, n));
    cases.back().large = true;
  }
  return cases;
}

std::vector<OpCase> logistic_mixture_cases() {
  std::vector<OpCase> cases;
  for (const double log_scale : {-8.0, -4.0, 0.0, 3.0}) {  // below the floor, and to the density
    cases.push_back(logistic_mixture_case({2, 7}, 10, log_scale));
  }
  cases.push_back(logistic_mixture_case({}, 1, -2));
  cases.push_back(logistic_mixture_case({5}, 3, -2));
  for (const std::int64_t n : {1, 63, 100, 257}) {
    cases.push_back(logistic_mixture_case({n, 3}, n, -2));
    cases.back().large = true;
  }
  return cases;
}

}  // namespace tarn::test
