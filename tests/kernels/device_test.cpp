// Every device's kernels: which it lacks, and that the others compute what the CPU's do.
#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <string_view>

#include "kernels/table.h"
#include "tests/support/devices.h"
#include "tests/support/op_cases.h"
#include "tests/support/random_tensor.h"

namespace tarn::kernels {
namespace {

// A kernel that is written is taken off this list, in the change that puts it into the table.
constexpr std::string_view kMissingOnCuda[] = {"lstm_forward", "lstm_backward"};

TEST_CASE("cuda: kernels that are still missing") {
  for (const Device device : test::devices()) {
    if (device.kind != DeviceKind::cuda) continue;
    const Table& kernels = table(device.kind);
    std::set<std::string_view> missing;
#define TARN_KERNEL(name, Args) \
  if (kernels.name.fn == nullptr) missing.insert(#name);
#include "kernels/kernels.def"
    for (const std::string_view kernel : kMissingOnCuda) {
      CHECK_MESSAGE(missing.erase(kernel) == 1, kernel,
                    " is listed as missing, and is a kernel of cuda or of none");
    }
    for (const std::string_view kernel : missing) FAIL_CHECK(kernel, " is missing");
  }
}

// Gradients of the large cases too, which are too many for finite differences.
void check_against_cpu(DType dtype) {
  if (test::devices().size() == 1) return;
  for (const test::OpCase& c : test::op_cases()) {
    CAPTURE(c.str());
    const test::Tensors wanted = test::run_forward_backward(c, dtype);
    double largest = 0;
    for (const Tensor& t : wanted) largest = std::max(largest, test::max_abs(t));
    test::for_each_device([&](Device device) {
      if (device == Device::cpu()) return;
      const test::Tensors results = test::run_forward_backward(c, dtype, device);
      for (std::size_t i = 0; i < wanted.size(); ++i) {
        CAPTURE(i);
        // A gradient that cancels to nothing but rounding has no unit of its own.
        const double unit = std::max(test::max_abs(wanted[i]), 0.1 * largest);
        CHECK(test::max_abs_difference(results[i], wanted[i]) <=
              unit * (dtype == DType::f32 ? std::max(c.tolerance, 1e-5) : 1e-12));
      }
    });
  }
}

TEST_CASE("devices: outputs and gradients in f32 are the CPU's") { check_against_cpu(DType::f32); }
TEST_CASE("devices: outputs and gradients in f64 are the CPU's") { check_against_cpu(DType::f64); }

}  // namespace
}  // namespace tarn::kernels
