// When a backward says that a parameter's gradient is complete: once of each, and never too early,
// with layers that run again in the backward too.
#include <doctest/doctest.h>

#include <cstring>
#include <map>

#include "autograd/linear.h"
#include "autograd/recompute.h"
#include "tests/nn/tokens.h"

namespace tarn::nn {
namespace {

using Layer = std::function<Tensor(const Tensor&)>;

// What a hook was told.
struct Told {
  std::vector<std::string> names;
  std::map<const ad::Parameter*, Tensor> gradients;  // at that time
};

// Backward of forward(), which is recorded.
template <class Forward>
Told run_backward(const Forward& forward) {
  Told told;
  ad::Tape tape;
  Tensor out;
  {
    const ad::Recording recording = tape.record();
    out = forward();
  }
  tape.backward(out, test::random_tensor(out.shape(), out.dtype(), "seed"),
                [&](const ad::Parameter& parameter) {
                  told.names.push_back(parameter.name());
                  if (parameter.has_grad()) {
                    told.gradients[&parameter] = test::copy_of(parameter.grad());
                  }
                });
  return told;
}

// Nothing was added to a gradient after it was said to be complete.
void check_final(const Told& told, const std::vector<ad::Parameter*>& parameters) {
  for (const ad::Parameter* parameter : parameters) {
    CAPTURE(parameter->name());
    REQUIRE(told.gradients.count(parameter) == 1);
    const Tensor then = told.gradients.at(parameter), now = parameter->grad();
    CHECK(std::memcmp(then.raw(), now.raw(), static_cast<std::size_t>(now.bytes())) == 0);
  }
}

Tensor square(const char* name) { return test::random_tensor({5, 5}, DType::f64, name); }

TEST_CASE("gradient hook: after the last op that adds to a gradient, once of each parameter") {
  ad::Parameter shared("shared", square("shared")), inner("inner", square("inner")),
      outer("outer", square("outer")), aside("aside", square("aside"));
  const Tensor x = square("x");
  const auto forward = [&] {
    const Tensor first = ad::linear(x, shared.tensor(), {});
    ad::linear(first, aside.tensor(), {});  // on which nothing depends
    const Tensor second = ad::linear(first, inner.tensor(), {});
    const Tensor third = ad::linear(second, shared.tensor(), {});
    return ad::linear(third, outer.tensor(), {});
  };
  const Told told = run_backward(forward);
  CHECK(told.names == std::vector<std::string>{"outer", "inner", "aside", "shared"});
  CHECK_FALSE(aside.has_grad());
  check_final(told, {&shared, &inner, &outer});
}

TEST_CASE("gradient hook: layers that run again complete their parameters when they are done") {
  ad::Parameter shared("shared", square("shared")), a("a", square("a")), b("b", square("b"));
  const Tensor x = square("x");
  const Layer first = [&](const Tensor& in) {
    const Tensor out = ad::linear(in, a.tensor(), {});
    return ad::linear(out, shared.tensor(), {});
  };
  const Layer second = [&](const Tensor& in) {
    const Tensor out = ad::linear(in, shared.tensor(), {});
    return ad::linear(out, b.tensor(), {});
  };
  const Told told = run_backward([&] { return ad::recompute(ad::recompute(x, first), second); });
  CHECK(told.names == std::vector<std::string>{"b", "shared", "a"});
  check_final(told, {&shared, &a, &b});
}

TEST_CASE("gradient hook: a parameter that no op reads can be put behind all of them") {
  ad::Parameter read("read", square("read")), unread("unread", square("unread"));
  std::vector<std::string> names;
  ad::Tape tape;
  Tensor out;
  {
    const ad::Recording recording = tape.record();
    out = ad::linear(square("x"), read.tensor(), {});
  }
  tape.leaf(read);
  tape.leaf(unread);
  tape.backward(out, square("seed"), [&](const ad::Parameter& parameter) {
    names.push_back(parameter.name());
    CHECK(parameter.has_grad() == (&parameter == &read));
  });
  CHECK(names == std::vector<std::string>{"unread", "read"});
}

TEST_CASE("gradient hook: of every parameter that a model reads, the head's first") {
  for (const std::string attention : {"causal-linear", "full", "lsh"}) {
    for (const bool again : {false, true}) {
      CAPTURE(attention);
      CAPTURE(again);
      const SequencePredictor model(test::build_of(), test::small_options(attention));
      const Tensor tokens = test::random_tokens({3, 20}, 11, "tokens");
      const Pass pass{.training = true, .seed = 3, .step = 5, .recompute = again};
      const Told told = run_backward(
          [&] { return model.forward(tokens, {.causal = true, .lengths = {}}, pass); });
      std::vector<ad::Parameter*> read;  // LSH attention's keys are its queries
      for (ad::Parameter* parameter : model.parameters()) {
        if (parameter->has_grad()) read.push_back(parameter);
      }
      CHECK(told.names.size() == read.size());
      CHECK(told.names.front().substr(0, 9) == "predictor");
      CHECK(told.names.back().substr(0, 15) == "value_embedding");
      check_final(told, read);
    }
  }
}

}  // namespace
}  // namespace tarn::nn
