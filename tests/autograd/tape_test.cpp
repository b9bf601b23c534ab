#include "autograd/tape.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "autograd/cross_entropy.h"
#include "autograd/layer_norm.h"
#include "autograd/linear.h"
#include "autograd/unary.h"
#include "autograd/views.h"
#include "tests/support/random_tensor.h"

namespace tarn::ad {
namespace {

using test::full;
using test::get;
using test::random_tensor;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Tensor square(std::int64_t n, const char* name) { return random_tensor({n, n}, DType::f32, name); }

TEST_CASE("tape: a view keeps its place, and its gradient arrives in the base's shape") {
  Parameter x("x", random_tensor({2, 6}, DType::f64, "x"));
  const Tensor seed = random_tensor({4, 3}, DType::f64, "seed");
  Tape tape;
  Tensor out;
  {
    const Recording recording = tape.record();
    const Tensor seen = x.tensor().view({4, 3});
    CHECK(tape.holds(seen));
    out = ad::contiguous(ad::transpose(seen, 0, 1)).view({12}).view({3, 4});
    CHECK(tape.nodes() == 2);
  }
  tape.backward(out, test::copy_of(seed.transpose(0, 1)));
  CHECK(x.grad().shape() == Shape{2, 6});
  CHECK(test::max_abs_difference(x.grad().view({4, 3}), seed) == 0);
}

TEST_CASE("tape: the output of backward may be a view") {
  Parameter x("x", random_tensor({2, 6}, DType::f64, "x"));
  Tape tape;
  Tensor out;
  {
    const Recording recording = tape.record();
    out = unary(x.tensor(), Unary::elu_plus_one).view({3, 4});
  }
  tape.backward(out, full({3, 4}, DType::f64, 1));
  CHECK(x.grad().shape() == Shape{2, 6});
}

TEST_CASE("tape: a parameter stands in one place however often it is used") {
  Parameter x("x", square(2, "x"));
  Tape tape;
  const Recording recording = tape.record();
  const GradSlot first = x.tensor().slot;
  CHECK(first.tape != 0);
  CHECK(x.tensor().slot.index == first.index);
}

TEST_CASE("tape: a parameter's tensor stands nowhere without a recording") {
  Parameter x("x", square(2, "x"));
  Tape tape;
  CHECK(x.tensor().slot.tape == 0);
  const Tensor earlier = [&] {
    const Recording recording = tape.record();
    return x.tensor();
  }();
  CHECK(x.tensor().slot.tape == 0);
  const Recording recording = tape.record();
  CHECK_FALSE(tape.holds(earlier));  // of an earlier recording, though of the same tape
}

TEST_CASE("tape: a second backward is an error") {
  Parameter x("x", square(2, "x"));
  Tape tape;
  Tensor out;
  {
    const Recording recording = tape.record();
    out = unary(x.tensor(), Unary::relu);
  }
  tape.backward(out, square(2, "seed"));
  CHECK(tape.nodes() == 0);
  CHECK_THROWS_AS(tape.backward(out, square(2, "seed")), Error);
}

TEST_CASE("tape: backward wants a closed recording, its own tensor and the right shape") {
  Parameter x("x", square(2, "x"));
  Tape tape, other;
  Tensor out;
  const Tensor seed = square(2, "seed");
  {
    const Recording recording = tape.record();
    out = unary(x.tensor(), Unary::relu);
    CHECK_THROWS_AS(tape.backward(out, seed), Error);
  }
  Tensor stranger;
  {
    const Recording recording = other.record();
    stranger = unary(x.tensor(), Unary::relu);
  }
  CHECK_THROWS_AS(tape.backward(stranger, seed), Error);
  CHECK_THROWS_AS(other.backward(out, seed), Error);
  CHECK_THROWS_AS(tape.backward(seed, seed), Error);  // on no tape
  CHECK_THROWS_AS(tape.backward(out, square(3, "seed")), ShapeError);
  CHECK_THROWS_AS(tape.backward(out), ShapeError);  // four elements are no loss
  CHECK_FALSE(x.has_grad());
  tape.backward(out, seed);
  CHECK(x.has_grad());
}

TEST_CASE("tape: a nested recording is an error, and the outer one goes on") {
  Tape tape, other;
  const Recording recording = tape.record();
  CHECK_THROWS_AS((void)tape.record(), Error);
  CHECK_THROWS_AS((void)other.record(), Error);
  CHECK(Tape::active() == &tape);
}

TEST_CASE("tape: an exception closes the recording") {
  Tape tape;
  try {
    const Recording recording = tape.record();
    throw Error("something");
  } catch (const Error&) {
    CHECK(Tape::active() == nullptr);
  }
}

TEST_CASE("tape: a new recording forgets the old one") {
  Parameter x("x", square(2, "x"));
  Tape tape;
  Tensor old;
  {
    const Recording recording = tape.record();
    old = unary(x.tensor(), Unary::relu);
  }
  const Recording recording = tape.record();
  CHECK(tape.nodes() == 0);
  CHECK_FALSE(tape.holds(old));
}

TEST_CASE("tape: unused branches get no gradient") {
  Parameter used("used", square(3, "used")), unused("unused", square(3, "unused"));
  Parameter after("after", square(3, "after"));
  Tape tape;
  Tensor out;
  {
    const Recording recording = tape.record();
    (void)linear(used.tensor(), unused.tensor(), {});
    out = unary(used.tensor(), Unary::elu_plus_one);
    (void)linear(out, after.tensor(), {});
  }
  tape.backward(out, square(3, "seed"));
  CHECK(used.has_grad());
  CHECK_FALSE(unused.has_grad());
  CHECK_FALSE(unused.grad().defined());
  CHECK_FALSE(after.has_grad());
}

TEST_CASE("tape: a loss is backward with a gradient of 1") {
  Parameter x("x", random_tensor({4, 3}, DType::f64, "x"));
  const Tensor targets = test::from_vector({4}, {0, 2, 1, 1}, DType::i32);
  const Tensor weights = full({4}, DType::f64, 1);
  Tape tape;
  const auto gradient = [&](double seed) {
    Tensor loss;
    {
      const Recording recording = tape.record();
      loss = cross_entropy(x.tensor(), targets, weights).loss;
    }
    x.clear_grad();
    seed == 1 ? tape.backward(loss) : tape.backward(loss, full({}, DType::f64, seed));
    return test::copy_of(x.grad());
  };
  const Tensor one = gradient(1), two = gradient(2);
  for (std::int64_t i = 0; i < one.elements(); ++i) CHECK(get(two, i) == 2 * get(one, i));
}

TEST_CASE("tape: the gradient that backward is given stays as it was") {
  Parameter x("x", square(3, "x")), w("w", square(3, "w"));
  const Tensor seed = square(3, "seed");
  Tape tape;
  Tensor out;
  {
    const Recording recording = tape.record();
    out = linear(x.tensor(), w.tensor(), {}, {.activation = Unary::relu});
  }
  tape.backward(out, seed);  // whose epilogue overwrites the gradient
  CHECK(test::max_abs_difference(seed, square(3, "seed")) == 0);
}

// Two layers; the second's weight, and the gradient of its output, are the caller's.
std::optional<NonFinite> first_nonfinite(const Tensor& weight, double seed) {
  Parameter w1("w1", full({3, 3}, DType::f32, 0.5)), w2("w2", weight);
  Parameter gain("gain", full({3}, DType::f32, 1)), bias("bias", full({3}, DType::f32, 0));
  Tape tape;
  tape.watch_nonfinite();
  Tensor out;
  {
    const Recording recording = tape.record();
    const Tensor hidden = linear(square(3, "x"), w1.tensor(), {});
    out = linear(unary(hidden, Unary::relu), w2.tensor(), {});
    out = layer_norm(out, gain.tensor(), bias.tensor(), 1e-5);
  }
  tape.backward(out, full({3, 3}, DType::f32, seed));
  return tape.first_nonfinite();
}

TEST_CASE("tape: watch_nonfinite finds nothing where all is finite") {
  CHECK_FALSE(first_nonfinite(square(3, "w2"), 1).has_value());
}

TEST_CASE("tape: watch_nonfinite names the first op of the forward") {
  Tensor weight = square(3, "w2");
  test::set(weight, 4, kInfinity);
  const auto found = first_nonfinite(weight, 1);
  REQUIRE(found.has_value());
  CHECK(found->op == "linear");
  CHECK(found->near == "w2");
  CHECK_FALSE(found->in_backward);
}

TEST_CASE("tape: watch_nonfinite names the first op of the backward") {
  Parameter w1("w1", full({3, 3}, DType::f32, 0)), w2("w2", full({3, 3}, DType::f32, 1e30));
  Tape tape;
  tape.watch_nonfinite();
  Tensor out;
  {
    const Recording recording = tape.record();
    out = linear(linear(square(3, "x"), w1.tensor(), {}), w2.tensor(), {});
    out = unary(out, Unary::elu_plus_one);
  }
  tape.backward(out, full({3, 3}, DType::f32, 1e30));
  const auto found = tape.first_nonfinite();
  REQUIRE(found.has_value());
  CHECK(found->op == "linear");
  CHECK(found->near == "w2");
  CHECK(found->in_backward);
  const Recording recording = tape.record();
  CHECK_FALSE(tape.first_nonfinite().has_value());
}

}  // namespace
}  // namespace tarn::ad
