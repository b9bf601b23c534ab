// The cases of bi_lstm.
#include "autograd/lstm.h"
#include "tests/reference/lstm.h"
#include "tests/support/op_cases.h"

namespace tarn::test {
namespace {

// Inputs: x, the four weights of each direction, lengths if there are any.
OpCase lstm_case(std::int64_t frames, std::int64_t in, std::int64_t hidden,
                 const std::vector<double>& lengths, std::int64_t batch = 1) {
  if (!lengths.empty()) batch = static_cast<std::int64_t>(lengths.size());
  OpCase c{.variant = message("batch ", batch, " frames ", frames, " in ", in, " hidden ", hidden,
                              lengths.empty() ? "" : " lengths"),
           .inputs = {{"x", {batch, frames, in}}}};
  // As wide as initial values are: wider ones saturate the gates.
  const double scale = 1 / std::sqrt(static_cast<double>(hidden));
  for (const char* suffix : {"", "_reverse"}) {
    for (const auto& [name, shape] : {std::pair{"weight_ih", Shape{4 * hidden, in}},
                                      {"weight_hh", Shape{4 * hidden, hidden}},
                                      {"bias_ih", Shape{4 * hidden}},
                                      {"bias_hh", Shape{4 * hidden}}}) {
      c.inputs.push_back({.name = message(name, suffix),
                          .shape = shape,
                          .value = [=](double normal, std::int64_t) { return scale * normal; }});
    }
  }
  if (!lengths.empty()) {
    c.inputs.push_back(
        {.name = "lengths",
         .shape = {batch},
         .differentiable = false,
         .value = [=](double, std::int64_t i) { return lengths[static_cast<std::size_t>(i)]; },
         .dtype = DType::i32});
  }
  const bool masked = !lengths.empty();
  c.build = [=](const Tensors& in_) {
    return ad::bi_lstm(in_[0], masked ? in_[9] : Tensor(), {in_[1], in_[2], in_[3], in_[4]},
                       {in_[5], in_[6], in_[7], in_[8]});
  };
  c.reference = [=](const Tensors& in_) {
    return reference::bi_lstm(in_[0], masked ? in_[9] : Tensor(), {in_[1], in_[2], in_[3], in_[4]},
                              {in_[5], in_[6], in_[7], in_[8]});
  };
  return c;
}

}  // namespace

std::vector<OpCase> bi_lstm_cases() {
  std::vector<OpCase> cases = {
      lstm_case(1, 1, 1, {}),
      lstm_case(5, 3, 1, {}, 2),
      lstm_case(4, 2, 5, {}, 3),
      lstm_case(7, 3, 5, {1, 7, 3}),
      lstm_case(5, 2, 3, {0, 1, 5, 1, 2, 5, 3, 1, 5, 4, 1}),  // more than a tile's rows
  };
  OpCase twice = lstm_case(5, 3, 2, {5, 2});
  twice.variant = "both directions have the same weights";
  twice.inputs.erase(twice.inputs.begin() + 5, twice.inputs.begin() + 9);
  twice.build = [](const Tensors& in) {
    const ad::LstmWeights weights{in[1], in[2], in[3], in[4]};
    return ad::bi_lstm(in[0], in[5], weights, weights);
  };
  twice.reference = [](const Tensors& in) {
    const reference::LstmWeights weights{in[1], in[2], in[3], in[4]};
    return reference::bi_lstm(in[0], in[5], weights, weights);
  };
  cases.push_back(twice);
  for (const OpCase& large : {lstm_case(20, 40, 63, {20, 1, 13}), lstm_case(5, 1, 100, {}, 17),
                              lstm_case(2, 63, 257, {}), lstm_case(2, 3, 5, {}, 100)}) {
    cases.push_back(large);
    cases.back().large = true;
  }
  return cases;
}

}  // namespace tarn::test
