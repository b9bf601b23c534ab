// Every device's kernels: that it lacks none, and that they compute what the CPU's do.
#include <doctest/doctest.h>

#include <algorithm>

#include "kernels/lstm.h"
#include "kernels/table.h"
#include "tests/support/devices.h"
#include "tests/support/op_cases.h"
#include "tests/support/random_tensor.h"

namespace tarn::kernels {
namespace {

TEST_CASE("devices: no kernel is missing") {
  for (const Device device : test::devices()) {
    CAPTURE(device.str());
    const Table& kernels = table(device.kind);
#define TARN_KERNEL(name, Args) CHECK_MESSAGE((kernels.name.fn != nullptr), #name);
#include "kernels/kernels.def"
  }
}

TEST_CASE("devices: a kernel that one lacks is named") {
  for (const Device device : test::devices()) {
    Table lacking = table(device.kind);
    lacking.lstm_forward.fn = nullptr;
    CHECK_THROWS_WITH_AS(
        run(lacking, &Table::lstm_forward, device, {}),
        message("lstm_forward: no ", name_of(device.kind), " kernel in this build").c_str(),
        DeviceError);
  }
}

// Gradients of the large cases too, which are too many for finite differences.
void check_against_cpu(DType dtype) {
  if (test::devices().size() == 1) return;
  for (const test::OpCase& c : test::op_cases()) {
    CAPTURE(c.str());
    const test::Tensors expected = test::run_forward_backward(c, dtype);
    double largest = 0;
    for (const Tensor& t : expected) largest = std::max(largest, test::max_abs(t));
    test::for_each_device([&](Device device) {
      if (device == Device::cpu()) return;
      const test::Tensors results = test::run_forward_backward(c, dtype, device);
      for (std::size_t i = 0; i < expected.size(); ++i) {
        CAPTURE(i);
        // A gradient that cancels to nothing but rounding has no unit of its own.
        const double unit = std::max(test::max_abs(expected[i]), 0.1 * largest);
        CHECK(test::max_abs_difference(results[i], expected[i]) <=
              unit * (dtype == DType::f32 ? std::max(c.tolerance, 1e-5) : 1e-12));
      }
    });
  }
}

TEST_CASE("devices: outputs and gradients in f32 are the CPU's") { check_against_cpu(DType::f32); }
TEST_CASE("devices: outputs and gradients in f64 are the CPU's") { check_against_cpu(DType::f64); }

}  // namespace
}  // namespace tarn::kernels
