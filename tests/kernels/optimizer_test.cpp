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
            {.value = value,
             .grad = grad,
             .velocity = velocity,
             .lr = 0.1,
             .momentum = 0.9,
             .l2 = 0.01,
             .grad_scale = 0.5});
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
  for (std::int64_t i = 0; i < a.value.elements(); ++i) {
    const double x = get(a.value, i);
    const double g = a.grad_scale * get(a.grad, i) + a.l2 * x;
    const double m = a.beta1 * get(a.m, i) + (1 - a.beta1) * g;
    const double v = a.beta2 * get(a.v, i) + (1 - a.beta2) * g * g;
    const double divisor = a.adaptive ? std::sqrt(v) * a.v_scale + a.eps : 1;
    test::set(a.m, i, m);
    test::set(a.v, i, v);
    test::set(a.value, i, x * (1 - a.decay) - a.step_size * m / divisor);
  }
}

TEST_CASE("adam_step: is the definition, adaptive or not") {
  test::for_each_instruction_set([](const std::string& name) {
    CAPTURE(name);
    for (const DType dtype : {DType::f32, DType::f64}) {
      for (const std::int64_t n : kSizes) {
        for (const bool adaptive : {true, false}) {
          AdamStepArgs args{.value = random_tensor({n}, dtype, "value"),
                            .grad = random_tensor({n}, dtype, "grad"),
                            .m = full({n}, dtype, 0),
                            .v = full({n}, dtype, 0),
                            .step_size = 0.01,
                            .v_scale = 1.5,
                            .decay = 0.1,
                            .l2 = 0.02,
                            .grad_scale = 0.5,
                            .adaptive = adaptive};
          AdamStepArgs wanted = args;
          for (Tensor* t : {&wanted.value, &wanted.grad, &wanted.m, &wanted.v}) {
            *t = test::cast(*t, DType::f64);
          }
          for (int step = 0; step < 3; ++step) {
            run(&Table::adam_step, kCpu, args);
            adam_reference(wanted);
          }
          CAPTURE(n);
          CHECK(relative_difference(args.value, wanted.value) < tolerance(dtype));
          CHECK(relative_difference(args.m, wanted.m) < tolerance(dtype));
          CHECK(relative_difference(args.v, wanted.v) < tolerance(dtype));
        }
      }
    }
  });
}

TEST_CASE("sum_of_squares: is summed in f64 and put where it is asked for") {
  for (const DType dtype : {DType::f32, DType::f64}) {
    for (const std::int64_t n : kSizes) {
      const Tensor x = random_tensor({n}, dtype, "x"), total = full({2, 2}, DType::f64, 7);
      double wanted = 0;
      for (std::int64_t i = 0; i < n; ++i) wanted += get(x, i) * get(x, i);
      run(&Table::sum_of_squares, kCpu, {.x = x, .total = total, .index = 2});
      CHECK(get(total, 2) == doctest::Approx(wanted).epsilon(1e-13));
      for (const std::int64_t other : {0, 1, 3}) CHECK(get(total, other) == 7);
    }
  }
}

TEST_CASE("sum_of_squares: holds what f32 cannot") {
  const Tensor x = full({100}, DType::f32, 1e30), total = full({1}, DType::f64, kNaN);
  run(&Table::sum_of_squares, kCpu, {.x = x, .total = total});
  CHECK(get(total, 0) == doctest::Approx(1e62));
}

TEST_CASE("count_nonfinite: counts NaN and both infinities") {
  for (const DType dtype : {DType::f32, DType::f64}) {
    const Tensor x = random_tensor({40001}, dtype, "x"), total = full({1}, DType::f64, kNaN);
    const auto count = [&] {
      run(&Table::count_nonfinite, kCpu, {.x = x, .total = total});
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
