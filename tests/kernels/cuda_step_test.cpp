// The step of an encoder, and its packed weights, on CUDA devices against the CPU's.
#include <doctest/doctest.h>

#include <cstring>

#include "tests/support/compare_devices.h"
#include "tests/support/encoder_step_problem.h"

namespace tarn::kernels {
namespace {

using test::EncoderStepProblem;
using test::EncoderStepSizes;

constexpr StepRule kSoftmax{.kind = StepRule::Kind::softmax, .scale = 0.4};

void compare_step(const EncoderStepSizes& sizes, DType dtype, DType storage) {
  CAPTURE(sizes.rows);
  CAPTURE(sizes.width);
  const EncoderStepProblem problem(sizes, dtype, storage);
  test::compare(dtype, dtype == DType::f32 ? 2e-5 : 1e-12, [&](Device device) {
    const EncoderStepProblem moved = problem.on(device);
    moved.run();
    std::vector<Tensor> results{moved.out};
    for (const StepState& state : moved.states) {
      results.push_back(state.first);
      results.push_back(state.second);
    }
    return results;
  });
}

TEST_CASE("cuda: encoder step") {
  for (const StepRule& rule : {StepRule{}, kSoftmax}) {
    for (const auto& [dtype, storage] :
         {std::pair{DType::f32, DType::f32}, std::pair{DType::f64, DType::f64},
          std::pair{DType::f32, DType::bf16}}) {
      for (const std::int64_t rows : {1, 2, 8, 17}) {
        compare_step({.rows = rows, .rule = rule}, dtype, storage);
      }
      compare_step(
          {.width = 1, .heads = 1, .query_width = 1, .value_width = 1, .hidden = 1, .rule = rule},
          dtype, storage);
      compare_step({.width = 257,
                    .heads = 3,
                    .query_width = 33,
                    .value_width = 65,
                    .hidden = 600,
                    .rule = rule,
                    .activation = Unary::gelu},
                   dtype, storage);
      compare_step({.layers = 1, .outputs = 0, .rule = rule}, dtype, storage);
      compare_step({.layers = 0, .rule = rule}, dtype, storage);
      compare_step({.outputs = 257, .capacity = 300, .position = 299, .rule = rule}, dtype,
                   storage);
    }
  }
}

TEST_CASE("cuda: a sequence's step has the same bits whatever its batch") {
  for (const StepRule& rule : {StepRule{}, kSoftmax}) {
    const EncoderStepProblem batch({.rows = 13, .rule = rule}, DType::f32, DType::f32);
    test::for_each_device([&](Device device) {
      const EncoderStepProblem all = batch.on(device);
      all.run();
      const Tensor expected = test::on_host(all.out);
      for (const std::int64_t n : {0, 7, 12}) {
        EncoderStepProblem one = batch;
        one.x = one.x.slice(0, n, 1);
        one.out = Tensor::empty({1, expected.size(1)}, DType::f32, Device::cpu());
        for (StepState& state : one.states) {
          state = {state.first.slice(0, n, 1), state.second.slice(0, n, 1)};
        }
        const EncoderStepProblem moved = one.on(device);
        moved.run();
        CHECK(test::max_abs_difference(test::on_host(moved.out), expected.slice(0, n, 1)) == 0);
      }
    });
  }
}

TEST_CASE("cuda: weights are packed as on the CPU, bit for bit") {
  for (const DType storage : {DType::f32, DType::bf16}) {
    for (const std::int64_t width : {1, 31, 33, 100}) {
      test::compare(DType::f32, 0, [&](Device device) {
        const Tensor weight = copy_to(test::random_tensor({37, width}, DType::f32, "w"), device);
        const Tensor panels = Tensor::empty(packed_shape(37, width, storage), storage, device);
        run(&Table::pack_weight, device, {.weight = weight, .panels = panels});
        const Tensor host = copy_to(panels, Device::cpu());
        const Tensor bytes = Tensor::empty({host.bytes()}, DType::u8, Device::cpu());
        std::memcpy(bytes.raw(), host.raw(), static_cast<std::size_t>(host.bytes()));
        return std::vector<Tensor>{bytes};
      });
    }
  }
}

}  // namespace
}  // namespace tarn::kernels
