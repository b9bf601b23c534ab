#include "train/reproduce/results.h"

#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>

#include "core/check.h"
#include "tests/train/reproduce/example_results.h"

namespace tarn::train::reproduce {
namespace {

using nlohmann::json;

TEST_CASE("results: what is written is read, to the last bit") {
  for (const Results& results : {test::example_results(), test::odd_results(), Results{}}) {
    const std::string text = to_json(results);
    CHECK(to_json(results_from_json(text, "x")) == text);
  }
  Results results = test::example_results();
  results.experiments[0].rows[0].values["slope"] = {0.1 + 0.2, 1.0 / 3, 1'000'000'007};
  const Results read = results_from_json(to_json(results), "x");
  REQUIRE(read.experiments.size() == 4);
  const Measured& slope = read.experiments[0].rows[0].values.at("slope");
  CHECK(slope.mean == 0.1 + 0.2);
  CHECK(slope.deviation == 1.0 / 3);
  CHECK(slope.count == 1'000'000'007);
  CHECK(read.experiments[2].pictures[0].file == "pictures/samples.png");
  CHECK(read.experiments[2].claims[2].verdict == Verdict::not_at_this_scale);
  CHECK(read.experiments[1].claims[0].numbers == results.experiments[1].claims[0].numbers);
  CHECK(read.experiments[1].rows[2].curves == results.experiments[1].rows[2].curves);
  CHECK(read.machine.threads == 2);
}

TEST_CASE("results: fields stand in the order of their declaration, and lists in their own") {
  const std::string text = to_json(test::example_results());
  std::size_t last = 0;
  for (const char* name : {"\"scale\"", "\"machine\"", "\"instruction_set\"", "\"experiments\"",
                           "\"figure1\"", "\"figure2\"", "\"table1\"", "\"table3\""}) {
    CAPTURE(name);
    CHECK(text.find(name) != std::string::npos);
    CHECK(text.find(name) > last);
    last = text.find(name);
  }
}

TEST_CASE("results: a number that is not finite is null, and read as NaN") {
  Results results;
  results.experiments.resize(1);
  results.experiments[0].seconds = HUGE_VAL;
  const std::string text = to_json(results);
  CHECK(json::parse(text)["experiments"][0]["seconds"].is_null());
  CHECK(std::isnan(results_from_json(text, "x").experiments[0].seconds));
}

TEST_CASE("results: bytes that are not UTF-8 do not lose the rest") {
  Results results;
  results.machine.processor = "caf\xe9";
  CHECK(results_from_json(to_json(results), "x").machine.processor == "caf\xef\xbf\xbd");
}

TEST_CASE("results: what does not fit is named, with its place") {
  const json good = json::parse(to_json(test::example_results()));
  const auto error_of = [&](const char* pointer, const json& value) -> std::string {
    json changed = good;
    changed[json::json_pointer(pointer)] = value;
    try {
      results_from_json(changed.dump(), "report/results.json");
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "none";
  };
  CHECK(error_of("/experiments/1/rows/0/title", 7) ==
        "report/results.json: experiments[1].rows[0].title is number, not a string");
  CHECK(
      error_of("/experiments/1/claims/0/verdict", "perhaps") ==
      "report/results.json: experiments[1].claims[0].verdict is \"perhaps\", which is no verdict");
  CHECK(error_of("/experiments/0/rows/0/curves/time/2", {1, 2, 3}) ==
        "report/results.json: experiments[0].rows[0].curves.time[2] is array, not an array of two");
  CHECK(error_of("/machine/threads", 1.5) ==
        "report/results.json: machine.threads is number, not an integer");
  CHECK(error_of("/experiments/0/columns/0/digits", 5'000'000'000) ==
        "report/results.json: experiments[0].columns[0].digits is out of range: 5000000000");
  CHECK(error_of("/machine/colour", "red") ==
        "report/results.json: machine has no field \"colour\"");
  CHECK(error_of("", json::array()) == "report/results.json: the content is array, not an object");

  json lacking = good;
  lacking["experiments"][0]["columns"][0].erase("paper");
  CHECK_THROWS_WITH_AS(results_from_json(lacking.dump(), "r.json"),
                       "r.json: experiments[0].columns[0] lacks paper", ConfigError);
  CHECK_THROWS_WITH_AS(results_from_json("{", "r.json"), doctest::Contains("r.json: not JSON"),
                       ConfigError);
}

}  // namespace
}  // namespace tarn::train::reproduce
