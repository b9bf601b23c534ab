// The kernels of CUDA devices for mixtures of logistics, and those that draw values, against the
// CPU's.
#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "core/transfer.h"
#include "kernels/logistic_mixture.h"
#include "kernels/sample.h"
#include "kernels/table.h"
#include "tests/support/compare_devices.h"
#include "tests/support/random_tensor.h"

namespace tarn::kernels {
namespace {

using test::compare;
using test::kFloats;
using test::random_tensor;
using Tensors = std::vector<Tensor>;

// Rows of K logits, K means and K log-scales: normals, times `spread` for the means, about
// `log_scale` for the log-scales.
Tensor mixture_rows(std::int64_t rows, std::int64_t components, DType dtype, double log_scale,
                    double spread) {
  const Tensor t = random_tensor({rows, 3, components}, dtype, "mixture");
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t k = 0; k < components; ++k) {
      test::set(t, {r, 1, k}, spread * test::get(t, {r, 1, k}));
      test::set(t, {r, 2, k}, log_scale + test::get(t, {r, 2, k}));
    }
  }
  return t.view({rows, 3 * components});
}

// Values of 8 bits in [-1, 1], the outermost and their neighbours among the first.
Tensor values_of_rows(std::int64_t rows) {
  Tensor t = Tensor::empty({rows}, DType::f32, Device::cpu());
  constexpr std::int64_t kEdges[] = {0, 255, 1, 254};
  for (std::int64_t r = 0; r < rows; ++r) {
    const std::int64_t value = r < 4 ? kEdges[r] : r * 85 % 256;
    test::set(t, r, static_cast<double>(value) / 255 * 2 - 1);
  }
  return t;
}

TEST_CASE("cuda: the loss of mixtures of logistics, and its gradient") {
  const auto check = [](DType dtype, std::int64_t rows, std::int64_t components, double log_scale,
                        double spread) {
    CAPTURE(message(rows, " rows of ", components, ", log-scales about ", log_scale));
    const Tensor outputs = mixture_rows(rows, components, dtype, log_scale, spread);
    const Tensor values = values_of_rows(rows);
    compare(dtype, dtype == DType::f32 ? 1e-6 : 1e-12, [&](Device device) {
      const Tensor parameters = copy_to(outputs, device), targets = copy_to(values, device);
      const Tensor totals = Tensor::empty({2}, DType::f64, device);
      const Tensor loss = Tensor::empty({}, dtype, device), alone = Tensor::empty_like(loss);
      const Tensor gradient = Tensor::empty_like(parameters);
      LogisticMixtureForwardArgs args{
          .parameters = parameters, .targets = targets, .totals = totals, .loss = alone};
      run(&Table::logistic_mixture_forward, device, args);
      args.loss = loss;
      args.gradient = gradient;
      run(&Table::logistic_mixture_forward, device, args);
      const Tensor grad_loss = copy_to(test::full({}, dtype, 1.5), device);
      const Tensor first = Tensor::empty_like(parameters);
      const Tensor added = copy_to(outputs, device);
      run(&Table::logistic_mixture_backward, device,
          {.gradient = gradient, .grad_loss = grad_loss, .grad_parameters = first});
      run(&Table::logistic_mixture_backward, device,
          {.gradient = gradient, .grad_loss = grad_loss, .grad_parameters = added, .beta = 0.5});
      return Tensors{totals, loss, alone, gradient, first, added};
    });
  };
  for (const DType dtype : kFloats) {
    for (const std::int64_t rows : {1, 63, 100, 257, 5000}) check(dtype, rows, 10, -3, 1);
    for (const std::int64_t components : {1, 3, 15, 16, 17, 63, 100}) {
      check(dtype, 63, components, -2, 0.5);
    }
    for (const double log_scale : {-20.0, -7.0, 0.0, 10.0}) check(dtype, 100, 10, log_scale, 100);
  }
}

TEST_CASE("cuda: a mixture's loss is NaN where a parameter is, and finite for the largest") {
  for (const DType dtype : kFloats) {
    const double largest = dtype == DType::f32
                               ? static_cast<double>(std::numeric_limits<float>::max())
                               : std::numeric_limits<double>::max();
    test::for_each_device([&](Device device) {
      for (const std::int64_t place : {0, 1, 2, 3, 4, 5}) {
        CAPTURE(place);
        for (const double value : {largest, -largest, std::nan("")}) {
          const Tensor outputs = test::full({1, 6}, dtype, 0.5);
          test::set(outputs, place, value);
          const Tensor parameters = copy_to(outputs, device);
          const Tensor totals = Tensor::empty({2}, DType::f64, device);
          const Tensor loss = Tensor::empty({}, dtype, device);
          const Tensor gradient = Tensor::empty_like(parameters);
          run(&Table::logistic_mixture_forward, device,
              {.parameters = parameters,
               .targets = copy_to(test::full({1}, DType::f32, 0.25), device),
               .totals = totals,
               .loss = loss,
               .gradient = gradient});
          CHECK(std::isnan(test::get(loss, 0)) == std::isnan(value));
          CHECK((std::isnan(value) || std::isfinite(test::max_abs(gradient))));
        }
      }
    });
  }
}

// How many of the values that other devices draw are not the CPU's.
struct Differences {
  std::int64_t drawn = 0, different = 0;

  // draw(device) returns i32 values.
  void count(const std::function<Tensor(Device)>& draw) {
    Tensor expected, first;
    test::for_each_device([&](Device device) {
      const Tensor values = test::on_host(draw(device));
      if (device == Device::cpu()) {
        expected = values;
        return;
      }
      if (first.defined()) CHECK(test::max_abs_difference(values, first) == 0);
      first = values;
      drawn += values.elements();
      for (std::int64_t i = 0; i < values.elements(); ++i) {
        different += test::get(values, i) != test::get(expected, i) ? 1 : 0;
      }
    });
  }
};

// Devices add weights in another order, and their exp may end in another digit of f64. A value is
// another where its random number falls between the two sums, one draw in 1e13 or so.
TEST_CASE("cuda: the values that are drawn are the CPU's") {
  Differences differences;
  for (const DType dtype : kFloats) {
    for (const std::int64_t rows : {0, 1, 63, 100, 257, 2000}) {
      const auto draw_mixture = [&](std::int64_t components, double temperature, bool compat) {
        CAPTURE(message(rows, " rows of ", components, " at ", temperature));
        const Tensor outputs = mixture_rows(rows, components, dtype, -3, 0.5);
        differences.count([&](Device device) {
          Tensor values = copy_to(test::full({rows}, DType::i32, -1), device);
          run(&Table::sample_logistic_mixture, device,
              {.outputs = copy_to(outputs, device),
               .values = values,
               .temperature = temperature,
               .compat = compat,
               .address = {5, 6, 7},
               .first = 11});
          return values;
        });
      };
      const auto draw_class = [&](std::int64_t classes, double temperature) {
        CAPTURE(message(rows, " rows of ", classes, " at ", temperature));
        const Tensor logits = random_tensor({rows, classes}, dtype, "logits");
        differences.count([&](Device device) {
          Tensor values = copy_to(test::full({rows}, DType::i32, -1), device);
          run(&Table::sample_categorical, device,
              {.logits = copy_to(logits, device),
               .values = values,
               .temperature = temperature,
               .address = {5, 6, 7},
               .first = 11});
          return values;
        });
      };
      for (const bool compat : {false, true}) draw_mixture(10, 1, compat);
      draw_class(256, 1);
      if (rows > 100) continue;
      for (const double temperature : {0.0, 1e-320, 0.7, 1e300}) {
        draw_mixture(3, temperature, false);
        draw_class(100, temperature);
      }
      for (const std::int64_t width : {1, 31, 32, 33, 257}) {
        draw_mixture(width, 1, false);
        draw_class(width, 1);
      }
    }
  }
  CHECK(differences.different * 10000 <= differences.drawn);
  MESSAGE(differences.different, " of ", differences.drawn, " values are not the CPU's");
}

TEST_CASE("cuda: the likeliest is the first among equals, and what weighs nothing is not drawn") {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  std::vector<double> equals(100, 1), impossible(100, -kInfinity), nan(100, 2);
  equals[37] = equals[38] = equals[70] = 3;
  impossible[64] = -900;
  nan[40] = std::nan("");
  test::for_each_device([&](Device device) {
    const auto draw = [&](const std::vector<double>& row, double temperature) {
      const Tensor values = Tensor::empty({1}, DType::i32, device);
      run(&Table::sample_categorical, device,
          {.logits = copy_to(test::from_vector({1, 100}, row), device),
           .values = values,
           .temperature = temperature});
      return test::get(values, 0);
    };
    CHECK(draw(equals, 0) == 37);
    CHECK(draw(impossible, 0) == 64);
    CHECK(draw(impossible, 1) == 64);
    CHECK(draw(nan, 1) == 0);
    CHECK(draw(std::vector<double>(100, std::nan("")), 1) == 0);
  });
}

}  // namespace
}  // namespace tarn::kernels
