// The cases of causal_linear_attention, linear_attention and softmax_attention.
#include <cmath>

#include "autograd/causal_linear_attention.h"
#include "autograd/linear_attention.h"
#include "autograd/softmax_attention.h"
#include "tests/reference/attention.h"
#include "tests/support/op_cases.h"

namespace tarn::test {
namespace {

// Large enough for its part in the gradients to show.
constexpr double kEps = 0.1;

struct Sizes {
  std::int64_t batch, queries, keys, heads, width, out_width;
  std::vector<double> lengths = {};
  Layout layout = Layout::contiguous;
  bool qkv = false;  // the three in one tensor, as one product makes them

  std::string str() const {
    std::string text = message("[", batch, ", ", queries, "/", keys, ", ", heads, ", ", width, "/",
                               out_width, "]");
    if (!lengths.empty()) text += " lengths";
    if (layout == Layout::strided) text += " strided";
    if (layout == Layout::outer_swap) text += " heads first";
    if (qkv) text += " in one";
    return text;
  }
};

double feature(double x, std::int64_t /*i*/) { return x > 0 ? x + 1 : std::exp(x); }

std::vector<OpInput> inputs_for(const Sizes& s, bool features) {
  std::vector<OpInput> inputs{
      {"query", {s.batch, s.queries, s.heads, s.width}, s.layout},
      {"key", {s.batch, s.keys, s.heads, s.width}, s.layout},
      {"value", {s.batch, s.keys, s.heads, s.out_width}, s.layout},
  };
  if (s.qkv) {
    inputs.resize(1);
    inputs[0] = {"qkv", {s.batch, s.queries, s.heads * (2 * s.width + s.out_width)}, s.layout};
  }
  if (features) {
    for (std::size_t i = 0; i < std::min<std::size_t>(inputs.size(), 2); ++i) {
      inputs[i].value = feature;
    }
  }
  if (!s.lengths.empty()) {
    inputs.push_back({"lengths", {s.batch}});
    inputs.back().differentiable = false;
    inputs.back().dtype = DType::i32;
    inputs.back().value = [lengths = s.lengths](double, std::int64_t i) {
      return lengths[static_cast<std::size_t>(i)];
    };
  }
  return inputs;
}

ad::Heads heads_of(const Sizes& s, const Tensors& in) {
  if (s.qkv) return ad::Heads::of(in[0], s.heads, s.width, s.out_width);
  return {in[0], in[1], in[2]};
}

Tensor lengths_of(const Sizes& s, const Tensors& in) {
  return s.lengths.empty() ? Tensor() : in.back();
}

OpCase linear_case(const Sizes& sizes, bool causal, bool large) {
  OpCase c{.variant = sizes.str(), .inputs = inputs_for(sizes, true), .large = large};
  // With one key the gradients of queries and keys are differences that eps alone keeps from zero.
  if (sizes.keys == 1) c.tolerance = 1e-3;
  c.build = [=](const Tensors& in) {
    const auto op = causal ? ad::causal_linear_attention : ad::linear_attention;
    return op(heads_of(sizes, in), lengths_of(sizes, in), kEps);
  };
  c.reference = [=](const Tensors& in) {
    const ad::Heads heads = heads_of(sizes, in);
    return reference::linear_attention({.query = heads.query,
                                        .key = heads.key,
                                        .value = heads.value,
                                        .lengths = lengths_of(sizes, in),
                                        .causal = causal,
                                        .eps = kEps});
  };
  return c;
}

OpCase softmax_case(const Sizes& sizes, bool causal, double dropout, bool large) {
  const ad::SoftmaxAttentionOptions options{
      .scale = 0.7, .causal = causal, .dropout = dropout, .address = {7, site_of("op_cases"), 3}};
  OpCase c{.variant = message(sizes, causal ? " causal" : "", dropout > 0 ? " dropout" : ""),
           .inputs = inputs_for(sizes, false),
           .large = large};
  c.build = [=](const Tensors& in) {
    return ad::softmax_attention(heads_of(sizes, in), lengths_of(sizes, in), options);
  };
  c.reference = [=](const Tensors& in) {
    const ad::Heads heads = heads_of(sizes, in);
    return reference::softmax_attention({.query = heads.query,
                                         .key = heads.key,
                                         .value = heads.value,
                                         .lengths = lengths_of(sizes, in),
                                         .causal = options.causal,
                                         .scale = options.scale,
                                         .dropout = options.dropout,
                                         .address = options.address});
  };
  return c;
}

// The same with query = key = value, one tensor of features.
OpCase self_case(OpCase c) {
  c.variant += " of one tensor";
  c.inputs.resize(1);
  c.build = [build = c.build](const Tensors& in) { return build({in[0], in[0], in[0]}); };
  c.reference = [reference = c.reference](const Tensors& in) {
    return reference({in[0], in[0], in[0]});
  };
  return c;
}

const std::vector<Sizes> kSmall = {{2, 5, 5, 2, 3, 4},
                                   {1, 1, 1, 1, 1, 2},
                                   {3, 5, 5, 2, 3, 2, {0, 3, 5}},
                                   {2, 5, 5, 2, 3, 4, {}, Layout::strided},
                                   {2, 5, 5, 2, 3, 4, {2, 5}, Layout::outer_swap},
                                   {2, 5, 5, 2, 3, 4, {}, Layout::contiguous, true},
                                   {3, 5, 5, 2, 3, 2, {0, 3, 5}, Layout::contiguous, true},
                                   {1, 67, 67, 1, 2, 1}};
const Sizes kUnequal[] = {{2, 3, 6, 2, 3, 4}, {2, 6, 3, 2, 3, 4, {1, 3}}};
const Sizes kSquare{2, 5, 5, 2, 3, 3};

void add_linear(bool causal, std::vector<OpCase>& cases) {
  for (const Sizes& s : kSmall) cases.push_back(linear_case(s, causal, false));
  cases.push_back(self_case(linear_case(kSquare, causal, false)));
  for (const std::int64_t n : {1, 63, 100, 257}) {
    cases.push_back(linear_case({2, n, n, 2, 24, 33}, causal, n > 1));
    cases.push_back(linear_case({2, n, n, 2, 32, 32, {}, Layout::contiguous, true}, causal, n > 1));
  }
}

}  // namespace

std::vector<OpCase> causal_linear_attention_cases() {
  std::vector<OpCase> cases;
  add_linear(true, cases);
  return cases;
}

std::vector<OpCase> linear_attention_cases() {
  std::vector<OpCase> cases;
  add_linear(false, cases);
  for (const Sizes& s : kUnequal) cases.push_back(linear_case(s, false, false));
  return cases;
}

std::vector<OpCase> softmax_attention_cases() {
  std::vector<OpCase> cases;
  for (const bool causal : {false, true}) {
    for (const Sizes& s : kSmall) {
      cases.push_back(softmax_case(s, causal, 0, false));
      cases.push_back(softmax_case(s, causal, 0.3, false));
    }
    for (const std::int64_t n : {1, 63, 100, 257}) {
      cases.push_back(softmax_case({1, n, n, 2, 24, 33}, causal, 0.1, n > 1));
    }
  }
  for (const Sizes& s : kUnequal) cases.push_back(softmax_case(s, true, 0.3, false));
  cases.push_back(self_case(softmax_case(kSquare, true, 0, false)));
  return cases;
}

}  // namespace tarn::test
