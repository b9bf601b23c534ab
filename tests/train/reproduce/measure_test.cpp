#include "train/reproduce/measure.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "core/check.h"

namespace tarn::train::reproduce {
namespace {

const nlohmann::json kReport = nlohmann::json::parse(R"({"rows": [
  {"kind": "full", "pass": "backward", "n": 128, "ms": 30, "batch": 2},
  {"kind": "full", "pass": "forward",  "n": 128, "ms": 10, "batch": 2},
  {"kind": "full", "pass": "forward",  "n": 64,  "ms": 4,  "batch": 4},
  {"kind": "full", "pass": "forward",  "n": 256, "ms": null, "batch": 1},
  {"kind": "lsh",  "pass": "forward",  "n": 64,  "ms": 7,  "batch": 4}]})");

Source source_of(const std::string& kind) {
  return {.where = {{"kind", kind}}, .x = "n", .value = "ms"};
}

TEST_CASE("reproduce: points come from the entries that are meant, in the order of x") {
  Source source = source_of("{kind}");
  source.combine = "sum";
  CHECK(points_of(kReport, source, {{"kind", "full"}}) == Curve{{64, 4}, {128, 40}});
  CHECK(points_of(kReport, source, {{"kind", "lsh"}}) == Curve{{64, 7}});
  CHECK(points_of(kReport, source, {{"kind", "linear"}}).empty());
  source.per = "batch";
  CHECK(points_of(kReport, source, {{"kind", "full"}}) == Curve{{64, 1}, {128, 20}});
  source.factor = 100;
  CHECK(points_of(kReport, source, {{"kind", "full"}}) == Curve{{64, 100}, {128, 2000}});
}

TEST_CASE("reproduce: several entries of one x are combined as the source says, or refused") {
  Source source = source_of("full");
  CHECK_THROWS_WITH_AS(points_of(kReport, source, {}),
                       "several entries of the result have the same n; combine them", ConfigError);
  source.combine = "min";
  CHECK(points_of(kReport, source, {})[1] == Point{128, 10});
  source.combine = "max";
  CHECK(points_of(kReport, source, {})[1] == Point{128, 30});
  source.where["n"] = "64";  // a number is meant by its text
  CHECK(points_of(kReport, source, {}) == Curve{{64, 4}});
}

TEST_CASE("reproduce: a value by itself, one that is not finite, and one that is not there") {
  Source source;
  source.value = "per";
  CHECK(points_of(nlohmann::json{{"per", 0.25}, {"loss", 3}}, source, {}) == Curve{{0, 0.25}});
  CHECK(points_of(nlohmann::json{{"per", nullptr}}, source, {}).empty());
  CHECK_THROWS_AS(points_of(nlohmann::json{{"loss", 3}}, source, {}), ConfigError);
  CHECK_THROWS_AS(points_of(nlohmann::json{{"per", "low"}}, source, {}), ConfigError);
}

TEST_CASE("reproduce: words are replaced once, and must stand for something") {
  const Substitutes words{{"run", "runs/{x}"}, {"dir", "{dir}"}};
  CHECK(expand("a {run} b {dir}/c", words) == "a runs/{x} b {dir}/c");
  CHECK_THROWS_WITH_AS(expand("{rnu}", words), "\"{rnu}\": {rnu} stands for nothing here",
                       ConfigError);
  CHECK_THROWS_AS(expand("an {open word", words), ConfigError);
  CHECK(uses({"eval", "{run}/x"}, "run"));
  CHECK_FALSE(uses({"eval", "run"}, "run"));
}

TEST_CASE("reproduce: curves as one number, and the mean of several seeds") {
  const Curve curve{{1, 5}, {2, 1}, {3, 4}};
  Source source;
  CHECK(one_value(curve, source) == 4);
  source.combine = "min";
  CHECK(one_value(curve, source) == 1);
  source.combine = "max";
  CHECK(one_value(curve, source) == 5);

  const Measured one = mean_of(std::vector<double>{3});
  CHECK((one.mean == 3 && one.deviation == 0 && one.count == 1));
  const Measured three = mean_of(std::vector<double>{1, 2, 6});
  CHECK(three.mean == 3);
  CHECK(three.deviation == doctest::Approx(2.6457513));  // the root of (4 + 1 + 9) / 2
  // A seed that was stopped early has no third point.
  CHECK(mean_of(std::vector<Curve>{curve, {{1, 7}, {2, 3}}}) == Curve{{1, 6}, {2, 2}});
}

}  // namespace
}  // namespace tarn::train::reproduce
