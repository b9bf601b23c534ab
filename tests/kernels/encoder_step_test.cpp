#include "tests/reference/encoder_step.h"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "tests/support/instruction_sets.h"
#include "tests/support/threads.h"

namespace tarn::kernels {
namespace {

using test::EncoderStepProblem;
using test::EncoderStepSizes;

const Device kCpu = Device::cpu();
// Members of a team spin while they wait, which takes long where other programs have the cores;
// thread_test.cpp has the teams.
constexpr std::int64_t kThreads = 1;
constexpr StepRule kSoftmax{.kind = StepRule::Kind::softmax, .scale = 0.4};

StepRule linear_rule(Unary map) {
  return {.kind = StepRule::Kind::causal_linear, .feature_map = map};
}

double difference(const std::vector<StepState>& a, const std::vector<StepState>& b) {
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    largest = std::max({largest, test::max_abs_difference(a[i].first, b[i].first),
                        test::max_abs_difference(a[i].second, b[i].second)});
  }
  return largest;
}

std::vector<StepState> copy_of(const std::vector<StepState>& state) {
  std::vector<StepState> copies;
  for (const StepState& layer : state) {
    copies.push_back({test::copy_of(layer.first), test::copy_of(layer.second)});
  }
  return copies;
}

// The largest difference of outputs and memories from the reference, of elements about 1 in size,
// with any instruction set.
double step_error(const EncoderStepSizes& sizes, DType dtype, DType storage) {
  const test::UseThreads use(kThreads);
  EncoderStepProblem problem(sizes, dtype, storage);
  const std::vector<StepState> before = copy_of(problem.states);
  std::vector<double> expected;
  for (std::int64_t n = 0; n < sizes.rows; ++n) {
    const reference::Row row = reference::encoder_step(problem, n);
    expected.insert(expected.end(), row.begin(), row.end());
  }
  const Tensor expected_out = test::from_vector(problem.out.shape(), expected);
  const std::vector<StepState> expected_states = problem.states;
  double error = 0;
  test::for_each_instruction_set([&](const char*) {
    problem.states = copy_of(before);
    problem.run();
    error = std::max({error, test::max_abs_difference(problem.out, expected_out),
                      difference(problem.states, expected_states)});
  });
  return error;
}

void check_all(const EncoderStepSizes& sizes) {
  CHECK(step_error(sizes, DType::f64, DType::f64) < 1e-10);
  CHECK(step_error(sizes, DType::f32, DType::f32) < 1e-4);
  CHECK(step_error(sizes, DType::f32, DType::bf16) < 1e-4);
}

std::vector<EncoderStepSizes> all_sizes() {
  std::vector<EncoderStepSizes> all;
  for (const std::int64_t rows : {1, 2, 3, 7, 8, 13, 17}) all.push_back({.rows = rows});
  all.push_back({.width = 1, .heads = 1, .query_width = 1, .value_width = 1, .hidden = 1});
  all.push_back({.width = 63, .heads = 3, .query_width = 1, .value_width = 33, .hidden = 257});
  all.push_back({.width = 100, .heads = 5, .query_width = 63, .value_width = 16, .hidden = 31});
  all.push_back({.width = 257, .heads = 1, .query_width = 100, .value_width = 63, .hidden = 100});
  all.push_back({.width = 32, .heads = 1, .query_width = 32, .value_width = 32, .hidden = 64});
  all.push_back({.layers = 1, .outputs = 0});
  all.push_back({.layers = 0});
  all.push_back({.outputs = 257});
  all.push_back({.capacity = 100, .position = 99});
  all.push_back({.capacity = 1, .position = 0});
  return all;
}

TEST_CASE("encoder step: linear attention is its reference at every size") {
  for (const EncoderStepSizes& sizes : all_sizes()) {
    CAPTURE(sizes.rows);
    CAPTURE(sizes.width);
    check_all(sizes);
  }
}

TEST_CASE("encoder step: softmax is its reference at every size") {
  for (EncoderStepSizes sizes : all_sizes()) {
    sizes.rule = kSoftmax;
    CAPTURE(sizes.rows);
    CAPTURE(sizes.width);
    CAPTURE(sizes.position);
    check_all(sizes);
  }
}

TEST_CASE("encoder step: feature maps and activations") {
  // Negative features could make a denominator of about nothing, so identity is not among the maps.
  for (const Unary map : {Unary::elu_plus_one, Unary::relu}) {
    for (const Unary activation : {Unary::relu, Unary::gelu, Unary::identity}) {
      CAPTURE(static_cast<int>(map));
      CAPTURE(static_cast<int>(activation));
      check_all({.rule = linear_rule(map), .activation = activation});
    }
  }
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return std::memcmp(a.raw(), b.raw(), static_cast<std::size_t>(a.bytes())) == 0;
}

TEST_CASE("encoder step: a sequence's bits do not depend on its batch") {
  const test::UseThreads use(kThreads);
  for (const StepRule& rule : {linear_rule(Unary::elu_plus_one), kSoftmax}) {
    for (const DType storage : {DType::f32, DType::bf16}) {
      const EncoderStepProblem batch({.rows = 13, .rule = rule}, DType::f32, storage);
      std::vector<EncoderStepProblem> alone;
      for (std::int64_t n = 0; n < 13; ++n) {
        EncoderStepProblem one({.rows = 1, .rule = rule}, DType::f32, storage);
        one.x = test::copy_of(batch.x.slice(0, n, 1));
        for (std::size_t i = 0; i < one.states.size(); ++i) {
          one.states[i] = {test::copy_of(batch.states[i].first.slice(0, n, 1)),
                           test::copy_of(batch.states[i].second.slice(0, n, 1))};
        }
        alone.push_back(one);
      }
      batch.run();
      for (std::int64_t n = 0; n < 13; ++n) {
        const EncoderStepProblem& one = alone[static_cast<std::size_t>(n)];
        CAPTURE(n);
        one.run();
        CHECK(same_bits(one.out, batch.out.slice(0, n, 1)));
        CHECK(same_bits(one.states[1].first, batch.states[1].first.slice(0, n, 1)));
      }
    }
  }
}

TEST_CASE("encoder step: large scores do not overflow, and a NaN is not hidden") {
  EncoderStepSizes sizes{.layers = 1, .rule = kSoftmax};
  sizes.rule.scale = 1e4;
  const EncoderStepProblem large(sizes, DType::f32, DType::f32);
  large.run();
  CHECK(std::isfinite(test::max_abs(large.out)));
  for (const StepRule& rule : {linear_rule(Unary::elu_plus_one), kSoftmax}) {
    sizes.rule = rule;
    const EncoderStepProblem diverged(sizes, DType::f32, DType::f32);
    test::set(diverged.x, {1, 3}, std::numeric_limits<double>::quiet_NaN());
    diverged.run();
    CHECK(std::isnan(test::max_abs(diverged.out.select(0, 1))));
    CHECK(std::isfinite(test::max_abs(diverged.out.select(0, 0))));
  }
}

TEST_CASE("pack panels: each weight lands in its panel, and the rest is zero") {
  const Tensor weight = test::random_tensor({37, 5}, DType::f64, "weight");
  const Tensor panels = Tensor::empty(packed_shape(37, 5, DType::f64), DType::f64, kCpu);
  REQUIRE(panels.shape() == Shape{2, 5, kPanelColumns});
  run(&Table::pack_weight, kCpu, {.weight = weight, .panels = panels});
  for (std::int64_t o = 0; o < 2 * kPanelColumns; ++o) {
    for (std::int64_t i = 0; i < 5; ++i) {
      const double expected = o < 37 ? test::get(weight, {o, i}) : 0;
      CHECK(test::get(panels, {o / kPanelColumns, i, o % kPanelColumns}) == expected);
    }
  }
}

TEST_CASE("pack panels: bf16 is the nearest, ties to even, and keeps what is not finite") {
  const double inf = std::numeric_limits<double>::infinity();
  const std::vector<double> values{1,     1 + 1.0 / 256, 1 + 3.0 / 256, 1 + 1.1 / 256,
                                   -2.5f, inf,           std::nan(""),  3.4e38};
  const std::vector<float> expected{1,
                                    1,
                                    1 + 4.0F / 256,
                                    1 + 2.0F / 256,
                                    -2.5F,
                                    std::numeric_limits<float>::infinity(),
                                    std::nanf(""),
                                    std::numeric_limits<float>::infinity()};
  const Tensor weight = test::from_vector({1, 8}, values, DType::f32);
  const Tensor panels = Tensor::empty(packed_shape(1, 8, DType::bf16), DType::bf16, kCpu);
  CHECK(panels.shape() == Shape{1, 4, kPanelColumns, 2});
  run(&Table::pack_weight, kCpu, {.weight = weight, .panels = panels});
  for (std::size_t k = 0; k < values.size(); ++k) {
    const std::size_t at = k / 2 * 2 * kPanelColumns + k % 2;
    const auto bits = static_cast<std::uint32_t>(panels.data<Bf16>()[at].bits) << 16;
    const auto stored = std::bit_cast<float>(bits);
    CAPTURE(k);
    CHECK((stored == expected[k] || (std::isnan(stored) && std::isnan(expected[k]))));
    CHECK(panels.data<Bf16>()[at + 2].bits == 0);  // the next output, which there is not
  }
}

}  // namespace
}  // namespace tarn::kernels
