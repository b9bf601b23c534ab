#include "core/rng.h"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

namespace tarn {
namespace {

using Block = std::array<std::uint32_t, 4>;

// The known answers that are published with the generator, for philox4x32-10.
TEST_CASE("rng: Philox gives the published numbers") {
  CHECK(philox({0, 0, 0, 0}, {0, 0}) == Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  constexpr std::uint32_t kOnes = 0xffffffff;
  CHECK(philox({kOnes, kOnes, kOnes, kOnes}, {kOnes, kOnes}) ==
        Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("rng: site_of is 64-bit FNV-1a") {
  CHECK(site_of("") == 0xcbf29ce484222325);
  CHECK(site_of("a") == 0xaf63dc4c8601ec8c);
  CHECK(site_of("foobar") == 0x85944171f73967e8);
}

TEST_CASE("rng: an address says where in Philox a number is") {
  const RngAddress at{.seed = 0x299f31d0a4093822, .site = 0x0370734413198a2e, .step = 0x85a308d3};
  const Block expected{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1};
  CHECK(random_block(at, 0x243f6a88) == expected);
  for (std::uint64_t i = 0; i < 4; ++i) {
    CHECK(random_bits(at, std::uint64_t{0x243f6a88} * 4 + i) == expected[i]);
  }
}

TEST_CASE("rng: numbers can be drawn when compiling") {
  static_assert(random_bits({.seed = 0}, 0) == 0x6627e8d5);
  static_assert(random_uniform({.seed = 0}, 0) < 0.5);
}

TEST_CASE("rng: a uniform is 24 bits of the unit interval and exact in f32") {
  const RngAddress at{.seed = 1, .site = site_of("rng_test"), .step = 2};
  for (std::uint64_t i = 0; i < 10000; ++i) {
    const double u = random_uniform(at, i);
    REQUIRE(u >= 0);
    REQUIRE(u < 1);
    REQUIRE(static_cast<double>(static_cast<float>(u)) == u);
  }
}

struct Moments {
  double mean = 0, variance = 0, skew = 0, kurtosis = 0;
};

Moments moments(const std::vector<double>& sample) {
  const auto n = static_cast<double>(sample.size());
  Moments m;
  for (const double x : sample) m.mean += x / n;
  for (const double x : sample) {
    const double d = x - m.mean;
    m.variance += d * d / n;
    m.skew += d * d * d / n;
    m.kurtosis += d * d * d * d / n;
  }
  m.skew /= std::pow(m.variance, 1.5);
  m.kurtosis /= m.variance * m.variance;
  return m;
}

std::vector<double> draw(double (*number)(const RngAddress&, std::uint64_t), const RngAddress& at) {
  std::vector<double> sample(100000);
  for (std::size_t i = 0; i < sample.size(); ++i) sample[i] = number(at, i);
  return sample;
}

// The bounds are about five standard errors of 100,000 draws; the draws are always the same.
TEST_CASE("rng: uniforms have the moments of their distribution") {
  const Moments m = moments(draw(random_uniform, {.seed = 5, .site = site_of("uniform")}));
  CHECK(std::abs(m.mean - 0.5) < 0.005);
  CHECK(std::abs(m.variance - 1.0 / 12) < 0.0015);
  CHECK(std::abs(m.skew) < 0.03);
  CHECK(std::abs(m.kurtosis - 1.8) < 0.03);
}

TEST_CASE("rng: normals have the moments of their distribution") {
  const std::vector<double> sample = draw(random_normal, {.seed = 5, .site = site_of("normal")});
  for (const double x : sample) REQUIRE(std::isfinite(x));
  const Moments m = moments(sample);
  CHECK(std::abs(m.mean) < 0.016);
  CHECK(std::abs(m.variance - 1) < 0.023);
  CHECK(std::abs(m.skew) < 0.04);
  CHECK(std::abs(m.kurtosis - 3) < 0.08);
}

// Computed by another implementation of Philox and of the formula. The last element draws a number
// so small that the half which keeps it off zero shows.
TEST_CASE("rng: normals are these numbers") {
  const RngAddress at{.seed = 5, .site = site_of("normal"), .step = 3};
  const auto check = [&](std::uint64_t element, double expected) {
    CAPTURE(element);
    CHECK(random_normal(at, element) == doctest::Approx(expected).epsilon(1e-13));
  };
  check(0, 0.7350692465240621);
  check(1, -0.09642243929851384);
  check(2, 0.05067104696577492);
  check(1000, 0.38868547929623243);
  check(166872, 2.949602703270616);
  check(std::uint64_t{1} << 32, -1.4478883574205164);
  check((std::uint64_t{1} << 32) + 1, -0.0728491484160049);
}

TEST_CASE("rng: a stream does not begin again where 32 bits of its block's number end") {
  const RngAddress at{.seed = 7, .site = 100, .step = 3};
  constexpr std::uint64_t kWrap = std::uint64_t{1} << 32;
  CHECK(random_block(at, kWrap - 1) == Block{0x4e7cd325, 0x8156a048, 0x99af0329, 0xd96952e9});
  CHECK(random_block(at, kWrap) == Block{0xeb354dee, 0x71a21057, 0x016373c9, 0xc3450e41});
  CHECK(random_block(at, 2 * kWrap + 7) == Block{0xa947086b, 0xfd259248, 0x0d826014, 0x25df6ef1});
  for (const std::uint64_t wraps : {1, 2, 3}) {
    for (std::uint64_t i = 0; i < 8; ++i) {
      CHECK(random_bits(at, i) != random_bits(at, 4 * wraps * kWrap + i));
      CHECK(random_uniform(at, i) != random_uniform(at, 4 * wraps * kWrap + i));
      CHECK(random_normal(at, i) != random_normal(at, wraps * kWrap + i));
    }
  }
}

double correlation(const std::vector<double>& a, const std::vector<double>& b) {
  const Moments ma = moments(a);
  const Moments mb = moments(b);
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - ma.mean) * (b[i] - mb.mean);
  return sum / static_cast<double>(a.size()) / std::sqrt(ma.variance * mb.variance);
}

TEST_CASE("rng: neighbouring addresses are independent") {
  const RngAddress at{.seed = 7, .site = 100, .step = 3};
  const std::vector<double> base = draw(random_uniform, at);
  for (const RngAddress& other :
       {RngAddress{8, 100, 3}, RngAddress{7, 101, 3}, RngAddress{7, 100, 4},
        RngAddress{7 + (std::uint64_t{1} << 32), 100, 3},
        RngAddress{7, 100 + (std::uint64_t{1} << 32), 3}}) {
    const std::vector<double> sample = draw(random_uniform, other);
    CHECK(sample != base);
    CHECK(std::abs(correlation(base, sample)) < 0.016);
  }
  std::vector<double> shifted(base.begin() + 1, base.end());
  shifted.push_back(base.front());
  CHECK(std::abs(correlation(base, shifted)) < 0.016);
}

TEST_CASE("rng: an address always draws the same") {
  const RngAddress at{.seed = 9, .site = site_of("layers.0"), .step = 12};
  CHECK(random_bits(at, 1000) == random_bits(at, 1000));
  CHECK(random_normal(at, 1000) == random_normal(at, 1000));
}

TEST_CASE("rng: random_below stays below and reaches every number") {
  const RngAddress at{.seed = 3};
  for (const std::uint32_t n : {1u, 2u, 3u, 10u, 63u, 257u}) {
    std::vector<int> seen(n, 0);
    for (std::uint64_t i = 0; i < std::uint64_t{200} * n; ++i) {
      const std::uint32_t k = random_below(at, i, n);
      REQUIRE(k < n);
      ++seen[k];
    }
    for (const int count : seen) CHECK(count > 100);
  }
  CHECK(random_below(at, 0, 0xffffffff) < 0xffffffff);
}

TEST_CASE("rng: a threshold is passed as often as its probability says") {
  CHECK(random_threshold(0) == 0);
  CHECK(random_threshold(0.5) == 0x80000000);
  CHECK(random_threshold(std::nextafter(1.0, 0.0)) == 0xffffffff);
  const RngAddress at{.seed = 4, .site = site_of("dropout")};
  for (const double p : {0.1, 0.25, 0.9}) {
    int events = 0;
    for (std::uint64_t i = 0; i < 100000; ++i) events += random_bits(at, i) < random_threshold(p);
    CHECK(std::abs(events / 100000.0 - p) < 0.008);
  }
}

}  // namespace
}  // namespace tarn
