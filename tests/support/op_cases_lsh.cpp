// The cases of lsh_attention. The order is an input that does not change with the query, as where
// the gradient exists; tests/kernels/lsh_attention_test.cpp has the order by hashes.
#include <algorithm>
#include <numeric>

#include "autograd/lsh_attention.h"
#include "tests/reference/lsh.h"
#include "tests/support/op_cases.h"

namespace tarn::test {
namespace {

struct Sizes {
  std::int64_t batch, length, heads, width, out_width, rounds, chunk;
  std::vector<double> lengths = {};
  Layout layout = Layout::contiguous;

  std::string str() const {
    std::string text = message("[", batch, ", ", length, ", ", heads, ", ", width, "/", out_width,
                               "] ", rounds, " rounds, chunks of ", chunk);
    if (!lengths.empty()) text += " lengths";
    if (layout == Layout::strided) text += " strided";
    if (layout == Layout::outer_swap) text += " heads first";
    return text;
  }
};

// Any permutation of the positions in each round.
std::vector<double> shuffled_orders(const Sizes& s) {
  std::vector<double> order;
  for (std::int64_t row = 0; row < s.batch * s.heads * s.rounds; ++row) {
    const RngAddress at{1, site_of("lsh order"), static_cast<std::uint32_t>(row)};
    std::vector<double> positions(static_cast<std::size_t>(s.length));
    std::iota(positions.begin(), positions.end(), 0.0);
    std::sort(positions.begin(), positions.end(), [&](double a, double b) {
      return random_bits(at, static_cast<std::uint64_t>(a)) <
             random_bits(at, static_cast<std::uint64_t>(b));
    });
    order.insert(order.end(), positions.begin(), positions.end());
  }
  return order;
}

OpInput integers(const char* name, const Shape& shape, std::vector<double> values) {
  OpInput input{name, shape};
  input.differentiable = false;
  input.dtype = DType::i32;
  input.value = [values = std::move(values)](double, std::int64_t i) {
    return values[static_cast<std::size_t>(i)];
  };
  return input;
}

OpCase lsh_case(const Sizes& s, bool causal, bool masked, double dropout, bool large) {
  const ad::LshAttentionOptions options{.chunk = s.chunk,
                                        .scale = 0.7,
                                        .causal = causal,
                                        .masked = masked,
                                        .dropout = dropout,
                                        .address = {7, site_of("op_cases"), 3}};
  OpCase c{
      .variant = message(s, causal ? " causal" : "", masked ? " masked" : "",
                         dropout > 0 ? " dropout" : ""),
      .inputs = {{"query", {s.batch, s.length, s.heads, s.width}, s.layout},
                 {"value", {s.batch, s.length, s.heads, s.out_width}, s.layout},
                 integers("order", {s.batch, s.heads, s.rounds, s.length}, shuffled_orders(s))},
      .large = large};
  if (!s.lengths.empty()) c.inputs.push_back(integers("lengths", {s.batch}, s.lengths));
  const auto lengths_of = [](const Tensors& in) { return in.size() == 4 ? in[3] : Tensor(); };
  c.build = [=](const Tensors& in) {
    return ad::lsh_attention(in[0], in[1], lengths_of(in), in[2], options);
  };
  c.reference = [=](const Tensors& in) {
    return reference::lsh_attention({.query = in[0],
                                     .value = in[1],
                                     .lengths = lengths_of(in),
                                     .order = in[2],
                                     .options = options});
  };
  return c;
}

// Queries and values as one tensor.
OpCase self_case(OpCase c) {
  c.variant += " of one tensor";
  c.inputs.erase(c.inputs.begin() + 1);
  c.build = [build = c.build](const Tensors& in) { return build({in[0], in[0], in[1]}); };
  c.reference = [reference = c.reference](const Tensors& in) {
    return reference({in[0], in[0], in[1]});
  };
  return c;
}

}  // namespace

std::vector<OpCase> lsh_attention_cases() {
  std::vector<OpCase> cases;
  const std::vector<Sizes> small = {
      {2, 8, 2, 3, 4, 2, 2},
      {2, 9, 1, 3, 2, 2, 4},             // a last chunk of one
      {1, 1, 1, 2, 2, 3, 4},             // shorter than a chunk
      {1, 5, 2, 3, 2, 1, 1},             // chunks of one
      {3, 7, 2, 3, 2, 2, 3, {0, 2, 7}},  // whole windows past the length
      {2, 9, 2, 3, 4, 2, 4, {}, Layout::strided},
      {2, 9, 2, 3, 4, 2, 4, {3, 9}, Layout::outer_swap},
  };
  for (const Sizes& s : small) {
    for (const bool causal : {false, true}) {
      for (const bool masked : {false, true})
        cases.push_back(lsh_case(s, causal, masked, 0, false));
      cases.push_back(lsh_case(s, causal, true, 0.3, false));
    }
  }
  cases.push_back(lsh_case({1, 63, 1, 2, 1, 2, 8}, true, true, 0, false));
  cases.push_back(lsh_case({1, 100, 1, 2, 1, 1, 32, {71}}, false, false, 0, false));
  cases.push_back(self_case(lsh_case({2, 9, 2, 3, 3, 2, 4}, true, true, 0, false)));
  for (const std::int64_t n : {1, 63, 100, 257}) {
    for (const bool causal : {false, true}) {
      cases.push_back(lsh_case({1, n, 2, 24, 33, 2, 29}, causal, causal, 0.1, true));
    }
  }
  return cases;
}

}  // namespace tarn::test
