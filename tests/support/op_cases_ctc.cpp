// The cases of ctc.
#include <algorithm>

#include "autograd/ctc.h"
#include "tests/reference/ctc.h"
#include "tests/support/op_cases.h"

namespace tarn::test {
namespace {

using Lengths = std::vector<double>;

// The labels of a row are 1 1 2 2 3 3 ... in turn: every other one repeats.
OpCase ctc_case(const std::string& variant, std::int64_t classes, const Lengths& frames,
                const Lengths& labels, bool per_label = false) {
  const auto batch = static_cast<std::int64_t>(frames.size());
  const auto longest = [](const Lengths& lengths) {
    return static_cast<std::int64_t>(*std::max_element(lengths.begin(), lengths.end()));
  };
  const std::int64_t width = longest(labels);
  OpCase c{.variant = message(variant, " [", batch, ", ", longest(frames), ", ", classes,
                              "] labels ", width, per_label ? " per label" : ""),
           .inputs = {{"logits", {batch, longest(frames), classes}},
                      {"labels", {batch, width}},
                      {"frame_lengths", {batch}},
                      {"label_lengths", {batch}}}};
  for (std::size_t i = 1; i < c.inputs.size(); ++i) {
    c.inputs[i].differentiable = false;
    c.inputs[i].dtype = DType::i32;
  }
  c.inputs[1].value = [=](double, std::int64_t i) {
    return static_cast<double>(1 + i % width / 2 % (classes - 1));
  };
  c.inputs[2].value = [=](double, std::int64_t i) { return frames[static_cast<std::size_t>(i)]; };
  c.inputs[3].value = [=](double, std::int64_t i) { return labels[static_cast<std::size_t>(i)]; };
  c.build = [=](const Tensors& in) {
    return ad::ctc(in[0], in[1], in[2], in[3],
                   per_label ? ad::CtcWeight::per_label : ad::CtcWeight::whole)
        .loss;
  };
  c.reference = [=](const Tensors& in) {
    return reference::ctc(in[0], in[1], in[2], in[3], per_label).loss;
  };
  return c;
}

}  // namespace

std::vector<OpCase> ctc_cases() {
  std::vector<OpCase> cases = {
      ctc_case("one frame", 3, {1}, {1}),
      ctc_case("one frame, no labels", 3, {1}, {0}),
      ctc_case("two classes", 2, {7}, {3}),
      ctc_case("unequal lengths", 5, {11, 1, 7}, {6, 1, 0}),
      ctc_case("unequal lengths", 5, {11, 1, 7}, {6, 1, 0}, true),
      ctc_case("just enough frames", 4, {6}, {4}),
      ctc_case("too few frames for one of three", 4, {9, 5, 4}, {4, 4, 2}),
      ctc_case("too few frames for all", 4, {5, 0}, {4, 1}),
      ctc_case("long", 40, {100, 63, 1}, {20, 31, 0}),
  };
  cases.back().large = true;
  // The reference computes with probabilities, which must not underflow.
  for (const double n : {63.0, 100.0, 257.0}) {
    cases.push_back(
        ctc_case("many classes", static_cast<std::int64_t>(n), {63, 62, 1}, {31, 5, 1}));
    cases.push_back(ctc_case("many frames", 3, {n, 63, 1}, {n / 2, 5, 1}));
    cases.back().large = cases.rbegin()[1].large = true;
  }
  return cases;
}

}  // namespace tarn::test
