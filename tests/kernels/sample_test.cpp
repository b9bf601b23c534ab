#include "kernels/sample.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/table.h"
#include "tests/support/random_tensor.h"

namespace tarn::kernels {
namespace {

using test::full;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
const RngAddress kAddress{11, site_of("sample"), 5};

using Values = std::vector<std::int32_t>;

Values values_of(const Tensor& values) {
  const std::int32_t* first = values.data<std::int32_t>();
  return {first, first + values.elements()};
}

// How a mixture is drawn from, and from which block on.
struct How {
  double temperature = 1;
  bool compat = false;
  std::uint32_t first = 0;
  RngAddress address = kAddress;
};

Values sample_rows(const Tensor& outputs, const How& how) {
  const Tensor values = full({outputs.size(0)}, DType::i32, -1);
  run(&Table::sample_logistic_mixture, Device::cpu(),
      {.outputs = outputs,
       .values = values,
       .temperature = how.temperature,
       .compat = how.compat,
       .address = how.address,
       .first = how.first});
  return values_of(values);
}

Values choose_rows(const Tensor& logits, double temperature, std::uint32_t first = 0) {
  const Tensor values = full({logits.size(0)}, DType::i32, -1);
  run(&Table::sample_categorical, Device::cpu(),
      {.logits = logits,
       .values = values,
       .temperature = temperature,
       .address = kAddress,
       .first = first});
  return values_of(values);
}

// The same row many times.
Tensor repeated(const std::vector<double>& row, std::int64_t rows, DType dtype = DType::f64) {
  std::vector<double> all;
  for (std::int64_t r = 0; r < rows; ++r) all.insert(all.end(), row.begin(), row.end());
  return test::from_vector({rows, static_cast<std::int64_t>(row.size())}, all, dtype);
}

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

std::vector<double> softmax(const std::vector<double>& logits, double temperature) {
  std::vector<double> p;
  double total = 0;
  for (const double logit : logits) total += p.emplace_back(std::exp(logit / temperature));
  for (double& x : p) x /= total;
  return p;
}

// What the loss gives the 256 values: the logistic's mass of the 2/255 around each, the tails to
// the outermost. Logits, means and scales of the components.
std::vector<double> mixture_probabilities(const std::vector<double>& weights,
                                          const std::vector<double>& means,
                                          const std::vector<double>& scales) {
  std::vector<double> p(256, 0);
  for (std::size_t k = 0; k < weights.size(); ++k) {
    for (int v = 0; v < 256; ++v) {
      const double y = v / 255.0 * 2 - 1;
      const double below = v == 0 ? 0 : sigmoid((y - 1.0 / 255 - means[k]) / scales[k]);
      const double above = v == 255 ? 1 : sigmoid((y + 1.0 / 255 - means[k]) / scales[k]);
      p[static_cast<std::size_t>(v)] += weights[k] * (above - below);
    }
  }
  return p;
}

// Pearson's statistic in units of its standard deviation above its mean; values that are expected
// less than five times are counted together.
double surprise(const Values& values, const std::vector<double>& probabilities) {
  const auto draws = static_cast<double>(values.size());
  std::vector<double> counts(probabilities.size(), 0);
  for (const std::int32_t value : values) counts.at(static_cast<std::size_t>(value)) += 1;
  double statistic = 0, rare_count = 0, rare_expected = 0, cells = 0;
  const auto add = [&](double count, double expected) {
    if (expected <= 0) return;
    statistic += (count - expected) * (count - expected) / expected;
    cells += 1;
  };
  for (std::size_t v = 0; v < counts.size(); ++v) {
    const double expected = draws * probabilities[v];
    if (expected >= 5) {
      add(counts[v], expected);
    } else {
      rare_count += counts[v];
      rare_expected += expected;
    }
  }
  add(rare_count, rare_expected);
  const double freedom = std::max(cells - 1, 1.0);
  return (statistic - freedom) / std::sqrt(2 * freedom);
}

TEST_CASE("sample: the values of a mixture are as frequent as the loss says they are") {
  const std::vector<double> logits{0.5, -1, 1.25}, means{-0.6, 0.2, 0.95}, raw{-2, -9, -3.5};
  const std::vector<double> row{0.5, -1, 1.25, -0.6, 0.2, 0.95, -2, -9, -3.5};
  const std::vector<double> scales{std::exp(-2.0), std::exp(-7.0), std::exp(-3.5)};  // the floor
  const Tensor outputs = repeated(row, 100000);
  const auto expected = mixture_probabilities(softmax(logits, 1), means, scales);
  CHECK(std::abs(surprise(sample_rows(outputs, {}), expected)) < 5);
  CHECK(std::abs(surprise(sample_rows(repeated(row, 100000, DType::f32), {}), expected)) < 5);
  // The statistic sees a scale that is wrong by a tenth.
  const std::vector<double> wrong{1.1 * scales[0], 1.1 * scales[1], 1.1 * scales[2]};
  CHECK(surprise(sample_rows(outputs, {}),
                 mixture_probabilities(softmax(logits, 1), means, wrong)) > 10);
}

TEST_CASE("sample: temperature divides the logits and multiplies the scales") {
  const std::vector<double> row{0.5, -1, -0.6, 0.2, -2, -3};
  for (const double t : {0.5, 0.9, 2.0}) {
    CAPTURE(t);
    const auto expected = mixture_probabilities(softmax({0.5, -1}, t), {-0.6, 0.2},
                                                {t * std::exp(-2.0), t * std::exp(-3.0)});
    const Values values = sample_rows(repeated(row, 50000), {.temperature = t});
    CHECK(std::abs(surprise(values, expected)) < 5);
  }
}

TEST_CASE("sample: the compat scale is elu + 1.0001, without a floor") {
  for (const double raw : {-12.0, -1.0, 0.5, 1.0}) {
    CAPTURE(raw);
    const double scale = raw > 0 ? raw + 1.0001 : std::expm1(raw) + 1.0001;
    const Tensor outputs = repeated({0, 0.1, raw}, 50000);
    const auto compat = mixture_probabilities({1}, {0.1}, {scale});
    CHECK(std::abs(surprise(sample_rows(outputs, {.compat = true}), compat)) < 5);
    if (raw > 0) CHECK(surprise(sample_rows(outputs, {}), compat) > 5);
  }
}

TEST_CASE("sample: categorical values are as frequent as softmax says") {
  std::vector<double> logits;
  for (int k = 0; k < 256; ++k) logits.push_back(2 * std::sin(k));
  for (const double t : {0.5, 1.0, 3.0}) {
    CAPTURE(t);
    CHECK(std::abs(surprise(choose_rows(repeated(logits, 15000), t), softmax(logits, t))) < 5);
  }
  const Values one = choose_rows(repeated({3}, 100), 1);
  CHECK(one == Values(100, 0));
}

TEST_CASE("sample: at temperature 0, and near it, the likeliest") {
  const std::vector<double> row{0.5, 2, -1, -0.6, 0.2, 0.9, 3, 5, 5};
  const auto likeliest = static_cast<std::int32_t>(std::lround(0.6 * 255));
  CHECK(sample_rows(repeated(row, 500), {.temperature = 0}) == Values(500, likeliest));
  CHECK(sample_rows(repeated(row, 500), {.temperature = 1e-6}) == Values(500, likeliest));
  CHECK(sample_rows(repeated(row, 500), {.temperature = 1e-320}) == Values(500, likeliest));
  CHECK(choose_rows(repeated({1, 7, 7, 3}, 500), 0) == Values(500, 1));
  CHECK(choose_rows(repeated({1, 6, 7, 3}, 500), 1e-3) == Values(500, 2));
}

TEST_CASE("sample: a very high temperature makes all alike") {
  const Values values = choose_rows(repeated({1, 7, 7, 3, -9}, 50000), 1e300);
  CHECK(std::abs(surprise(values, std::vector<double>(5, 0.2))) < 5);
  for (const std::int32_t v : sample_rows(repeated({0, 0, 0}, 1000), {.temperature = 1e300})) {
    CHECK((v == 0 || v == 255));
  }
}

TEST_CASE("sample: means and scales far outside give the edge values, never others") {
  const auto all = [](double mean, double raw) {
    return sample_rows(repeated({0, mean, raw}, 300), {});
  };
  CHECK(all(-50, -3) == Values(300, 0));
  CHECK(all(50, -3) == Values(300, 255));
  CHECK(all(-1e300, 10) == Values(300, 0));
  CHECK(all(kInfinity, -7) == Values(300, 255));
  for (const std::int32_t v : all(0, 1e4)) CHECK((v == 0 || v == 255));
  CHECK(all(std::numeric_limits<double>::quiet_NaN(), 0) == Values(300, 0));
  // A scale of e^-7 is a ninth of a value's width: whatever is drawn lies beside the mean.
  for (const int v : {0, 1, 127, 128, 254, 255}) {
    for (const std::int32_t drawn : all(v / 127.5 - 1, -20)) CHECK(std::abs(drawn - v) <= 2);
  }
}

TEST_CASE("sample: a row's value is its block's, whatever the batch") {
  for (const std::int64_t rows : {1, 15, 16, 17, 63, 100, 257}) {
    CAPTURE(rows);
    for (const DType dtype : {DType::f32, DType::f64}) {
      const Tensor mixture = test::random_tensor({rows, 30}, dtype, "mixture");
      const Tensor logits = test::random_tensor({rows, 256}, dtype, "logits");
      const Values all = sample_rows(mixture, {.first = 40}), chosen = choose_rows(logits, 1, 40);
      bool equal = true;
      for (std::int64_t r = 0; r < rows; ++r) {
        const auto at = static_cast<std::size_t>(r);
        const auto block = static_cast<std::uint32_t>(40 + r);
        equal = equal && sample_rows(mixture.slice(0, r, 1), {.first = block})[0] == all[at];
        equal = equal && choose_rows(logits.slice(0, r, 1), 1, block)[0] == chosen[at];
      }
      CHECK(equal);
    }
  }
}

TEST_CASE("sample: seed, site, step and block each choose other values") {
  const Tensor outputs = repeated({0, 0, -1}, 200);
  const Values values = sample_rows(outputs, {});
  RngAddress seed = kAddress, site = kAddress, step = kAddress;
  seed.seed = 12;
  site.site = 42;
  step.step = 6;
  for (const RngAddress& other : {seed, site, step}) {
    CHECK(sample_rows(outputs, {.address = other}) != values);
  }
  CHECK(sample_rows(outputs, {.first = 200}) != values);
}

}  // namespace
}  // namespace tarn::kernels
