// No kernel without a test: kernels.def against what the lists of cases declare.
#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <string_view>

#include "tests/support/kernel_calls.h"
#include "tests/support/op_cases.h"

namespace tarn::kernels {
namespace {

constexpr std::string_view kKernels[] = {
#define TARN_KERNEL(name, Args) #name,
#include "kernels/kernels.def"
};

// Kernels that no recorded op calls, and the file here that compares each with plain loops.
struct OwnTest {
  std::string_view kernel, file;
};
constexpr OwnTest kOwnTests[] = {
    {"pack_panels", "encoder_step_test.cpp"},  {"encoder_step", "encoder_step_test.cpp"},
    {"lsh_order", "lsh_attention_test.cpp"},   {"sample_logistic_mixture", "sample_test.cpp"},
    {"sample_categorical", "sample_test.cpp"}, {"sum_of_squares", "optimizer_test.cpp"},
    {"count_nonfinite", "optimizer_test.cpp"}, {"sgd_step", "optimizer_test.cpp"},
    {"adam_step", "optimizer_test.cpp"},
};

TEST_CASE("kernels.def: each kernel has an op case or a test of its own") {
  std::set<std::string_view> covered;
  for (const test::OpCase& c : test::op_cases()) covered.insert(c.kernels.begin(), c.kernels.end());
  for (const OwnTest& own : kOwnTests) {
    CAPTURE(own.file);
    CHECK_MESSAGE(covered.insert(own.kernel).second, own.kernel, " has an op case already");
  }
  for (const std::string_view kernel : kKernels) {
    CHECK_MESSAGE(covered.erase(kernel) == 1, kernel,
                  " has neither a case in tests/support/op_cases*.cpp nor a test in kOwnTests");
  }
  for (const std::string_view stranger : covered) {
    FAIL_CHECK(stranger << " is tested but not in kernels.def");
  }
}

TEST_CASE("kernels.def: each kernel is run by the tests of threads and instruction sets") {
  std::set<std::string_view> called;
  for (const test::KernelCall& call : test::kernel_calls()) called.insert(call.kernel);
  CHECK(called == std::set<std::string_view>(std::begin(kKernels), std::end(kKernels)));
}

}  // namespace
}  // namespace tarn::kernels
