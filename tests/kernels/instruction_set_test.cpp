#include <doctest/doctest.h>

#include <cstring>

#include "kernels/backend.h"
#include "tests/support/instruction_sets.h"
#include "tests/support/kernel_calls.h"
#include "tests/support/random_tensor.h"

namespace tarn::kernels {
namespace {

using test::UseInstructionSet;

TEST_CASE("instruction sets: a test runs with the one that it asks for") {
  const std::string best = cpu_backend().instruction_set;
  CHECK(best == cpu_instruction_sets().front());
  test::for_each_instruction_set(
      [](const std::string& name) { CHECK(cpu_backend().instruction_set == name); });
  CHECK(cpu_backend().instruction_set == best);
}

// All against the portable code, in units of the largest element of an output.
void check_all(DType dtype, double tolerance) {
  bool any_differs = false;
  for (const test::KernelCall& call : test::kernel_calls()) {
    CAPTURE(call.str());
    const std::vector<Tensor> portable = [&] {
      const UseInstructionSet use("portable");
      return call.run(dtype);
    }();
    test::for_each_instruction_set([&](const char* name) {
      CAPTURE(name);
      const std::vector<Tensor> outputs = call.run(dtype);
      for (std::size_t i = 0; i < outputs.size(); ++i) {
        CAPTURE(i);
        const double difference = test::relative_difference(outputs[i], portable[i]);
        CHECK(difference <= tolerance);
        any_differs = any_differs || difference > 0;
      }
    });
  }
  // Sums in another order round differently: none would mean that nothing was switched.
  CHECK(any_differs == (cpu_instruction_sets().size() > 1));
}

TEST_CASE("instruction sets: one that the processor lacks is refused, and the best stays") {
  CHECK_THROWS_WITH_AS(set_cpu_instruction_set("MMX"), doctest::Contains("there are "),
                       UserError);
  CHECK(cpu_backend().instruction_set == cpu_instruction_sets().front());
}

TEST_CASE("instruction sets: every kernel computes the same in f32") {
  check_all(DType::f32, 1e-5);
}
TEST_CASE("instruction sets: every kernel computes the same in f64") {
  check_all(DType::f64, 1e-12);
}

}  // namespace
}  // namespace tarn::kernels
