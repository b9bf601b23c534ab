#include "kernels/optimizer.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>

#include "kernels/table.h"
#include "tests/support/instruction_sets.h"
#include "tests/support/random_tensor.h"

namespace tarn::kernels {
namespace {

using test::copy_of;
using test::full;
using test::get;
using test::random_tensor;
using test::relative_difference;

const Device kCpu = Device::cpu();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::int64_t kSizes[] = {1, 63, 100, 257, 16385, 40001};  // chunks of 16,384

double tolerance(DType dtype) { return dtype == DType::f32 ? 2e-6 : 1e-14; }

TEST_CASE("sgd_step: two steps are the definition's") {
  for (const DType dtype : {DType::f32, DType::f64}) {
    for (const std::int64_t n : kSizes) {
      const Tensor value = random_tensor({n}, dtype, "value");
      const Tensor grad = random_tensor({n}, dtype, "grad");
      const Tensor velocity = random_tensor({n}, dtype, "velocity");
      const Tensor x = test::cast(value, DType::f64), v = test::cast(velocity, DType::f64);
      for (int step = 0; step < 2; ++step) {
        run(&Table::sgd_step, kCpu,
            {.value = {value},
             .gradients = {.grad = {grad}, .scales = full({1}, DType::f64, 0.5)},
             .velocity = {velocity},
             .lr = 0.1,
             .momentum = 0.9,
             .l2 = 0.01});
        for (std::int64_t i = 0; i < n; ++i) {
          test::set(v, i, 0.9 * get(v, i) + 0.5 * get(grad, i) + 0.01 * get(x, i));
          test::set(x, i, get(x, i) - 0.1 * get(v, i));
        }
      }
      CHECK(relative_difference(value, x) < tolerance(dtype));
      CHECK(relative_difference(velocity, v) < tolerance(dtype));
    }
  }
}

// The header's formula in f64, on f64 copies of the tensors.
void adam_reference(const AdamStepArgs& a) {
  for (std::size_t t = 0; t < a.value.size(); ++t) {
    const double scale = get(a.gradients.scales, static_cast<std::int64_t>(t));
    for (std::int64_t i = 0; i < a.value[t].elements(); ++i) {
      const double x = get(a.value[t], i);
      const double g = scale * get(a.gradients.grad[t], i) + a.l2 * x;
      const double m = a.beta1 * get(a.m[t], i) + (1 - a.beta1) * g;
      const double v = a.beta2 * get(a.v[t], i) + (1 - a.beta2) * g * g;
      const double divisor = a.adaptive ? std::sqrt(v) * a.v_scale + a.eps : 1;
      test::set(a.m[t], i, m);
      test::set(a.v[t], i, v);
      test::set(a.value[t], i, x * (1 - a.decay) - a.step_size * m / divisor);
    }
  }
}

std::vector<Tensor> all_sizes(DType dtype, const std::string& name) {
  std::vector<Tensor> tensors;
  for (const std::int64_t n : kSizes) tensors.push_back(random_tensor({n}, dtype, name));
  return tensors;
}

std::vector<Tensor> cast_all(std::vector<Tensor> tensors, DType dtype) {
  for (Tensor& t : tensors) t = test::cast(t, dtype);
  return tensors;
}

TEST_CASE("adam_step: is the definition, adaptive or not, for each tensor with its own scale") {
  test::for_each_instruction_set([](const std::string& name) {
    CAPTURE(name);
    for (const DType dtype : {DType::f32, DType::f64}) {
      for (const bool adaptive : {true, false}) {
        const Tensor scales = random_tensor({std::size(kSizes)}, DType::f64, "scales");
        AdamStepArgs args{.value = all_sizes(dtype, "value"),
                          .gradients = {.grad = all_sizes(dtype, "grad"), .scales = scales},
                          .m = {},
                          .v = {},
                          .step_size = 0.01,
                          .v_scale = 1.5,
                          .decay = 0.1,
                          .l2 = 0.02,
                          .adaptive = adaptive};
        for (const std::int64_t n : kSizes) {
          args.m.push_back(full({n}, dtype, 0));
          args.v.push_back(full({n}, dtype, 0));
        }
        AdamStepArgs expected = args;
        for (auto* list : {&expected.value, &expected.gradients.grad, &expected.m, &expected.v}) {
          *list = cast_all(*list, DType::f64);
        }
        for (int step = 0; step < 3; ++step) {
          run(&Table::adam_step, kCpu, args);
          adam_reference(expected);
        }
        for (std::size_t t = 0; t < args.value.size(); ++t) {
          CAPTURE(kSizes[t]);
          CHECK(relative_difference(args.value[t], expected.value[t]) < tolerance(dtype));
          CHECK(relative_difference(args.m[t], expected.m[t]) < tolerance(dtype));
          CHECK(relative_difference(args.v[t], expected.v[t]) < tolerance(dtype));
        }
      }
    }
  });
}

TEST_CASE("sgd_step, adam_step: change nothing where they are stopped") {
  const Tensor value = full({100}, DType::f32, 1), grad = full({100}, DType::f32, 1);
  const Tensor m = full({100}, DType::f32, 1), v = full({100}, DType::f32, 1);
  const Gradients gradients{.grad = {grad}, .scales = {}, .stopped = full({1}, DType::f64, 1)};
  run(&Table::sgd_step, kCpu,
      {.value = {value}, .gradients = gradients, .velocity = {m}, .lr = 1, .momentum = 0});
  run(&Table::adam_step, kCpu,
      {.value = {value}, .gradients = gradients, .m = {m}, .v = {v}, .step_size = 1});
  for (const Tensor& t : {value, m, v}) CHECK(test::max_abs_difference(t, grad) == 0);
}

struct Clipped {
  Tensor scales, norm, stopped;
};
Clipped clip(const std::vector<double>& squares, double max_norm, bool per_tensor,
             const std::vector<double>& watched = {}, double stopped = 0) {
  const auto count = static_cast<std::int64_t>(squares.size());
  Clipped out{full({count}, DType::f64, kNaN), full({1}, DType::f64, kNaN),
              full({1}, DType::f64, stopped)};
  run(&Table::clip_scales, kCpu,
      {.squares = test::from_vector({count}, squares, DType::f64),
       .watched = watched.empty() ? Tensor()
                                  : test::from_vector({static_cast<std::int64_t>(watched.size())},
                                                      watched, DType::f64),
       .max_norm = max_norm,
       .per_tensor = per_tensor,
       .scales = out.scales,
       .norm = out.norm,
       .stopped = out.stopped});
  return out;
}

TEST_CASE("clip_scales: each norm against the limit, or the norm of all") {
  const Clipped each = clip({9, 0.25, 16}, 2, true);
  CHECK(get(each.norm, 0) == doctest::Approx(std::sqrt(25.25)));
  CHECK(get(each.scales, 0) == doctest::Approx(2 / (3 + 1e-6)).epsilon(1e-14));
  CHECK(get(each.scales, 1) == 1);
  CHECK(get(each.scales, 2) == doctest::Approx(2 / (4 + 1e-6)).epsilon(1e-14));
  const Clipped all = clip({9, 0.25, 16}, 2, false);
  for (const std::int64_t i : {0, 1, 2}) {
    CHECK(get(all.scales, i) == doctest::Approx(2 / (std::sqrt(25.25) + 1e-6)).epsilon(1e-14));
  }
  for (const std::int64_t i : {0, 1, 2}) CHECK(get(clip({9, 1, 16}, 0, true).scales, i) == 1);
  CHECK(get(each.stopped, 0) == 0);
}

TEST_CASE("clip_scales: what is not finite stops updates, and they stay stopped") {
  CHECK(get(clip({1, kInfinity}, 1, true).stopped, 0) == 1);
  CHECK(get(clip({1, kNaN}, 0, false).stopped, 0) == 1);
  CHECK(get(clip({1, 2}, 1, true, {3, kNaN}).stopped, 0) == 1);
  CHECK(get(clip({1, 2}, 1, true, {-kInfinity}).stopped, 0) == 1);
  CHECK(get(clip({1, 2}, 1, true, {3, 4}).stopped, 0) == 0);
  CHECK(get(clip({1, 2}, 1, true, {3, 4}, 1).stopped, 0) == 1);
}

TEST_CASE("sum_of_squares: is summed in f64 and put where it is asked for") {
  for (const DType dtype : {DType::f32, DType::f64}) {
    for (const std::int64_t n : kSizes) {
      const Tensor x = random_tensor({n}, dtype, "x"), total = full({2, 2}, DType::f64, 7);
      double expected = 0;
      for (std::int64_t i = 0; i < n; ++i) expected += get(x, i) * get(x, i);
      run(&Table::sum_of_squares, kCpu, {.x = {x}, .totals = total, .first = 2});
      CHECK(get(total, 2) == doctest::Approx(expected).epsilon(1e-13));
      for (const std::int64_t other : {0, 1, 3}) CHECK(get(total, other) == 7);
    }
  }
}

TEST_CASE("sum_of_squares: holds what f32 cannot") {
  const Tensor x = full({100}, DType::f32, 1e30), total = full({1}, DType::f64, kNaN);
  run(&Table::sum_of_squares, kCpu, {.x = {x}, .totals = total});
  CHECK(get(total, 0) == doctest::Approx(1e62));
}

TEST_CASE("count_nonfinite: counts NaN and both infinities") {
  for (const DType dtype : {DType::f32, DType::f64}) {
    const Tensor x = random_tensor({40001}, dtype, "x"), total = full({1}, DType::f64, kNaN);
    const auto count = [&] {
      run(&Table::count_nonfinite, kCpu, {.x = {x}, .totals = total});
      return get(total, 0);
    };
    CHECK(count() == 0);
    test::set(x, 0, kNaN);
    test::set(x, 17000, kInfinity);
    test::set(x, 40000, -kInfinity);
    CHECK(count() == 3);
    test::set(x, 1, dtype == DType::f32 ? std::numeric_limits<float>::max() : 1e308);
    test::set(x, 2, std::numeric_limits<float>::denorm_min());
    CHECK(count() == 3);
  }
}

}  // namespace
}  // namespace tarn::kernels
