// No kernel without a test: kernels.def against what the lists of cases really call.
#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <string_view>

#include "kernels/table.h"
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
    {"pack_weight", "encoder_step_test.cpp"},  {"encoder_step", "encoder_step_test.cpp"},
    {"lsh_order", "lsh_attention_test.cpp"},   {"sample_logistic_mixture", "sample_test.cpp"},
    {"sample_categorical", "sample_test.cpp"}, {"sum_of_squares", "optimizer_test.cpp"},
    {"count_nonfinite", "optimizer_test.cpp"}, {"sgd_step", "optimizer_test.cpp"},
    {"adam_step", "optimizer_test.cpp"},       {"clip_scales", "optimizer_test.cpp"},
};

// The function of a slot for as long as calls are counted: the kernel's own, after a note.
template <class Args, Slot<Args> Table::*slot>
struct Counted {
  static inline Slot<Args> plain;
  static inline bool called = false;

  static void call(const Args& args, Scratch scratch) {
    called = true;
    plain.fn(args, scratch);
  }
  static void start(Table& table) {
    plain = table.*slot;
    called = false;
    (table.*slot).fn = call;
  }
  static void stop(Table& table, std::set<std::string_view>& names) {
    table.*slot = plain;
    if (called) names.insert(plain.name);
  }
};

// The kernels that are really called while the body runs, through the table as everybody does.
template <class Body>
std::set<std::string_view> called_by(const Body& body) {
  Table& table = const_cast<Table&>(cpu_table());
  std::set<std::string_view> names;
#define TARN_KERNEL(name, Args) Counted<Args, &Table::name>::start(table);
#include "kernels/kernels.def"
  body();
#define TARN_KERNEL(name, Args) Counted<Args, &Table::name>::stop(table, names);
#include "kernels/kernels.def"
  return names;
}

TEST_CASE("kernels.def: each kernel is called by an op case or has a test of its own") {
  std::set<std::string_view> covered = called_by([] {
    for (const test::OpCase& c : test::op_cases()) test::run_forward_backward(c, DType::f32);
  });
  for (const OwnTest& own : kOwnTests) {
    CAPTURE(own.file);
    CHECK_MESSAGE(covered.insert(own.kernel).second, own.kernel,
                  " is called by an op case already");
  }
  for (const std::string_view kernel : kKernels) {
    CHECK_MESSAGE(covered.count(kernel) == 1, kernel,
                  " is neither called by a case in tests/support/op_cases*.cpp nor in kOwnTests");
  }
  CHECK(covered.size() == std::size(kKernels));
}

TEST_CASE("kernels.def: each kernel is called by the tests of threads and instruction sets") {
  std::set<std::string_view> called;
  for (const test::KernelCall& call : test::kernel_calls()) {
    CAPTURE(call.str());
    const std::set<std::string_view> names = called_by([&] { call.run(DType::f32); });
    const bool is_kernel =
        std::find(std::begin(kKernels), std::end(kKernels), call.name) != std::end(kKernels);
    if (is_kernel) CHECK_MESSAGE(names.count(call.name) == 1, "another kernel is called");
    called.insert(names.begin(), names.end());
  }
  for (const std::string_view kernel : kKernels) CHECK_MESSAGE(called.count(kernel) == 1, kernel);
}

}  // namespace
}  // namespace tarn::kernels
