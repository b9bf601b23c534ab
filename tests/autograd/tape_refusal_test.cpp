// What a tape refuses because a gradient would be lost or wrong.
#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <vector>

#include "autograd/embedding.h"
#include "autograd/linear.h"
#include "autograd/recompute.h"
#include "autograd/unary.h"
#include "autograd/views.h"
#include "core/transfer.h"
#include "tests/support/random_tensor.h"

namespace tarn::ad {
namespace {

using test::full;
using test::random_tensor;

// What Tensor has of views and copies knows no gradient.
std::vector<Tensor> views_of(const Tensor& x) {
  return {x.transpose(0, 1), x.slice(1, 0, 3),          x.select(0, 0),
          x.expand({4, 6}),  copy_to(x, Device::cpu()), x.slice(1, 0, 4).view({2, 2})};
}

TEST_CASE("tape: an op refuses a view or a copy whose gradient would be lost") {
  Parameter x("x", random_tensor({1, 6}, DType::f64, "x"));
  Tape tape;
  const Recording recording = tape.record();
  for (const Tensor& here : {x.tensor(), unary(x.tensor(), Unary::relu)}) {
    REQUIRE(tape.holds(here));
    for (const Tensor& view : views_of(here)) {
      CAPTURE(view.str());
      CHECK_FALSE(tape.holds(view));
      CHECK_THROWS_WITH_AS(ad::slice(view, 0, 0, 1),
                           doctest::Contains(message("slice: input 0, ", view, ", is a").c_str()),
                           Error);
    }
    const std::size_t nodes = tape.nodes();
    for (const Tensor& view : views_of(here.detach())) CHECK_NOTHROW(ad::slice(view, 0, 0, 1));
    CHECK(tape.nodes() == nodes);
  }
}

TEST_CASE("tape: backward refuses an output that is such a view, and a gradient of another type") {
  Parameter x("x", random_tensor({2, 3}, DType::f32, "x"));
  const auto run = [&](const auto& output_of, const Tensor& grad, bool taking) {
    Tape tape;
    Tensor out;
    {
      const Recording recording = tape.record();
      out = output_of(unary(x.tensor(), Unary::relu));
    }
    if (taking) return tape.backward_taking(out, grad);
    tape.backward(out, grad);
  };
  const auto whole = [](const Tensor& out) { return out; };
  const auto part = [](const Tensor& out) { return out.slice(0, 0, 1); };
  for (const bool taking : {false, true}) {
    CHECK_NOTHROW(run(whole, full({2, 3}, DType::f32, 1), taking));
    CHECK_THROWS_AS(run(part, full({1, 3}, DType::f32, 1), taking), Error);
    CHECK_THROWS_AS(run(whole, full({3, 2}, DType::f32, 1), taking), ShapeError);
    CHECK_THROWS_AS(run(whole, full({2, 3}, DType::f64, 1), taking), DTypeError);
  }
}

TEST_CASE("tape: a tensor of an earlier recording is a constant to the next, its views too") {
  Parameter x("x", random_tensor({1, 6}, DType::f64, "x"));
  Tape tape;
  const Tensor earlier = [&] {
    const Recording recording = tape.record();
    return unary(x.tensor(), Unary::relu);
  }();
  const Recording recording = tape.record();
  for (const Tensor& view : views_of(earlier)) CHECK_NOTHROW(ad::slice(view, 0, 0, 1));
  CHECK(tape.nodes() == 0);
}

TEST_CASE("recompute: refuses to read a tensor of the tape that is not its argument") {
  Parameter x("x", random_tensor({2, 2}, DType::f32, "x")),
      weight("weight", random_tensor({2, 2}, DType::f32, "weight"));
  Tape tape;
  const Recording recording = tape.record();
  const Tensor here = unary(x.tensor(), Unary::relu), other = unary(x.tensor(), Unary::gelu);
  CHECK_NOTHROW(recompute(here, [&](const Tensor& in) { return linear(in, weight.tensor(), {}); }));
  CHECK_NOTHROW(recompute(here, [&](const Tensor& in) { return linear(in, other.detach(), {}); }));
  CHECK_THROWS_WITH_AS(recompute(here, [&](const Tensor& in) { return linear(in, other, {}); }),
                       doctest::Contains("f32 [2, 2]"), Error);
  CHECK(Tape::active() == &tape);
  CHECK_NOTHROW(linear(here, other, {}));
}

// Forward, a write to one tensor, backward: the message of the error, or nothing.
std::string message_after_write(bool watch, const std::function<void()>& write, Parameter& x,
                                Parameter& weight, const Tensor& tokens) {
  Tape tape;
  tape.watch_saved(watch);
  Tensor out;
  {
    const Recording recording = tape.record();
    const Tensor rows = concat(embedding(tokens, weight.tensor()), x.tensor());
    out = unary(linear(rows, test::random_tensor({2, 4}, DType::f32, "w"), {}), Unary::gelu);
  }
  write();
  try {
    tape.backward(out, full({3, 2}, DType::f32, 1));
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST_CASE("tape: what was saved and then written to is refused, with op and tensor") {
  Parameter x("x", random_tensor({3, 2}, DType::f32, "x"));
  Parameter weight("table", random_tensor({5, 2}, DType::f32, "table"));
  const Tensor tokens = full({3}, DType::i32, 2);
  const auto after = [&](bool watch, const std::function<void()>& write) {
    return message_after_write(watch, write, x, weight, tokens);
  };
  const auto write_token = [&] { test::set(tokens, 1, 4); };
  CHECK(after(true, [] {}) == "");
  CHECK(after(false, write_token) == "");
  test::set(tokens, 1, 2);
  const std::string error = after(true, write_token);
  CAPTURE(error);
  CHECK(error.find("embedding at or after table: tokens i32 [3] was written to") == 0);
  // The values of these parameters are in no gradient here.
  CHECK(after(true, [&] { test::fill(weight.value(), 1); }) == "");
  CHECK(after(true, [&] { test::fill(x.value(), 1); }) == "");
#if defined(TARN_CHECKED)
  Tape tape;  // watches by itself
  Tensor out;
  const Tensor input = random_tensor({2, 2}, DType::f32, "input");
  {
    const Recording recording = tape.record();
    out = linear(input, weight.tensor(), {});
  }
  test::set(input, 0, 7);
  CHECK_THROWS_WITH_AS(tape.backward(out, full({2, 5}, DType::f32, 1)),
                       doctest::Contains("linear at or after table: x f32 [2, 2]"), Error);
#endif
}

}  // namespace
}  // namespace tarn::ad
