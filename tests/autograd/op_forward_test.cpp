// The outputs of every op in tests/support/op_cases against tests/reference.
#include <doctest/doctest.h>

#include "autograd/tape.h"
#include "tests/support/devices.h"
#include "tests/support/op_cases.h"
#include "tests/support/random_tensor.h"

namespace tarn::ad {
namespace {

void check_outputs(DType dtype) {
  for (const test::OpCase& c : test::op_cases()) {
    CAPTURE(c.str());
    test::for_each_device([&](Device device) {
      test::Tensors inputs = test::make_inputs(c, dtype, device);
      const Tensor out = c.build(inputs);
      CHECK(out.dtype() == dtype);
      CHECK(out.device() == device);
      for (Tensor& input : inputs) input = test::on_host(input);
      CHECK(test::relative_difference(out, c.reference(inputs)) <=
            (dtype == DType::f32 ? c.tolerance : 1e-12));
    });
  }
}

TEST_CASE("ops: outputs in f64 equal the references") { check_outputs(DType::f64); }
TEST_CASE("ops: outputs in f32 equal the references") { check_outputs(DType::f32); }

TEST_CASE("ops: outputs are the same with and without a recording") {
  for (const test::OpCase& c : test::op_cases()) {
    CAPTURE(c.str());
    test::for_each_device([&](Device device) {
      const test::Tensors inputs = test::make_inputs(c, DType::f32, device);
      const Tensor plain = c.build(inputs);
      Tape tape;
      const Recording recording = tape.record();
      CHECK(test::max_abs_difference(c.build(inputs), plain) == 0);
      CHECK(tape.nodes() == 0);  // no input stands on the tape
    });
  }
}

}  // namespace
}  // namespace tarn::ad
