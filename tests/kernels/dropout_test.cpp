#include "kernels/dropout.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>

#include "kernels/table.h"
#include "tests/reference/ops.h"
#include "tests/support/instruction_sets.h"
#include "tests/support/random_tensor.h"

namespace tarn::kernels {
namespace {

using test::full;
using test::get;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
const RngAddress kAddress{11, site_of("dropout"), 5};

Tensor dropout(const Tensor& x, double probability, const RngAddress& address) {
  Tensor out = full(x.shape(), x.dtype(), kNaN);
  run(&Table::dropout, Device::cpu(),
      {.x = x, .out = out, .probability = probability, .address = address});
  return out;
}

// Whether element i is nonzero exactly where the stream of its address says so.
bool mask_is_addressed(const Tensor& out, double probability, const RngAddress& address) {
  const std::uint32_t threshold = random_threshold(probability);
  for (std::int64_t i = 0; i < out.elements(); ++i) {
    const bool kept = random_bits(address, static_cast<std::uint64_t>(i)) >= threshold;
    if ((get(out, i) != 0) != kept) return false;
  }
  return true;
}

TEST_CASE("dropout: an element's fate is its address's, whatever the chunks") {
  test::for_each_instruction_set([](const std::string& name) {
    CAPTURE(name);
    for (const DType dtype : {DType::f32, DType::f64}) {
      // Around the pieces of 256 and 512 elements, and the chunks of 32,768.
      for (const std::int64_t n : {1, 2, 3, 4, 5, 63, 255, 257, 513, 1027, 32767, 32769, 70001}) {
        CAPTURE(n);
        const Tensor ones = full({n}, dtype, 1);
        CHECK(mask_is_addressed(dropout(ones, 0.3, kAddress), 0.3, kAddress));
      }
    }
  });
}

TEST_CASE("dropout: seed, site and step each choose another mask") {
  const Tensor ones = full({1000}, DType::f32, 1);
  RngAddress seed = kAddress, site = kAddress, step = kAddress;
  seed.seed = 0x123456789abcdefULL;
  site.site = 42;
  step.step = 4000000000U;
  const Tensor out = dropout(ones, 0.5, kAddress);
  for (const RngAddress& other : {seed, site, step}) {
    const Tensor changed = dropout(ones, 0.5, other);
    CHECK(mask_is_addressed(changed, 0.5, other));
    CHECK(test::max_abs_difference(changed, out) > 0);
  }
}

TEST_CASE("dropout: what is kept is scaled, and about the right share is") {
  const std::int64_t n = 100000;
  const Tensor x = test::random_tensor({n}, DType::f32, "x");
  for (const double probability : {0.1, 0.5, 0.9}) {
    CAPTURE(probability);
    const Tensor out = dropout(x, probability, kAddress);
    CHECK(test::relative_difference(out, reference::dropout(x, probability, kAddress)) < 1e-6);
    double kept = 0;
    for (std::int64_t i = 0; i < n; ++i) kept += get(out, i) != 0 ? 1 : 0;
    CHECK(kept / static_cast<double>(n) == doctest::Approx(1 - probability).epsilon(0.03));
  }
}

TEST_CASE("dropout: a dropped NaN is gone and a kept one stays") {
  const Tensor out = dropout(full({100}, DType::f32, kNaN), 0.5, kAddress);
  for (std::int64_t i = 0; i < 100; ++i) {
    const bool kept = random_bits(kAddress, static_cast<std::uint64_t>(i)) >= random_threshold(0.5);
    CHECK(std::isnan(get(out, i)) == kept);
  }
}

TEST_CASE("dropout: adds to beta times the old") {
  for (const std::int64_t n : {1, 63, 257, 40001}) {
    for (const double beta : {1.0, 0.5}) {
      const Tensor x = test::random_tensor({n}, DType::f64, "x");
      const Tensor fresh = dropout(x, 0.3, kAddress);
      const Tensor sum = test::random_tensor({n}, DType::f64, "old");
      const Tensor old = test::copy_of(sum);
      run(&Table::dropout, Device::cpu(),
          {.x = x, .out = sum, .probability = 0.3, .address = kAddress, .beta = beta});
      double worst = 0;
      for (std::int64_t i = 0; i < n; ++i) {
        worst = std::max(worst, std::abs(get(sum, i) - beta * get(old, i) - get(fresh, i)));
      }
      CHECK(worst < 1e-15);
    }
  }
}

}  // namespace
}  // namespace tarn::kernels
