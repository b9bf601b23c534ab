#include "train/reproduce/expression.h"

#include <doctest/doctest.h>

#include <cmath>
#include <map>

#include "core/check.h"

namespace tarn::train::reproduce {
namespace {

class Fixed : public Values {
 public:
  double number(const std::string& column, const std::string& row) const override {
    if (row == "lsh") throw NotMeasured("no " + column + " of " + row);
    return column == "loss" ? 2 : 4;
  }
  const std::vector<Point>& curve(const std::string&, const std::string& row) const override {
    return row == "line" ? line_ : square_;
  }
  void used(const std::string& text, double value) override { seen[text] = value; }

  std::map<std::string, double> seen;

 private:
  std::vector<Point> line_{{1, 3}, {2, 6}, {4, 12}}, square_{{1, 5}, {2, 20}, {4, 80}};
};

bool holds(const std::string& text) {
  Fixed values;
  return check(text, values);
}

void check_expression_refused(const std::string& text, const std::string& part) {
  Fixed values;
  try {
    check(text, values);
    FAIL(text);
  } catch (const ConfigError& error) {
    CAPTURE(text);
    CHECK_MESSAGE(std::string(error.what()).find(part) != std::string::npos, error.what());
  }
}

TEST_CASE("reproduce: expressions compute as they are read") {
  Fixed values;
  CHECK(evaluate("1 + 2 * 3 - 4 / 8", values) == 6.5);
  CHECK(evaluate("(1 + 2) * -3", values) == -9);
  CHECK(evaluate("1.5e2 * loss.linear / time.linear", values) == 75);
  CHECK(evaluate("first(t.line) + 10 * last(t.line) + at(t.square, 2)", values) == 143);
  CHECK(evaluate("max(t.line) - min(t.line) + mean(t.line)", values) == 16);
  CHECK(evaluate("spread(t.square)", values) == 16);
  CHECK(evaluate("slope(t.line)", values) == doctest::Approx(1));
  CHECK(evaluate("slope(t.square)", values) == doctest::Approx(2));
}

TEST_CASE("reproduce: a check is one comparison, a chain, or several") {
  CHECK(holds("loss.linear <= 1.05 * loss.softmax"));
  CHECK_FALSE(holds("loss.linear < loss.softmax"));
  CHECK(holds("1 < loss.linear < 3"));
  CHECK_FALSE(holds("1 < loss.linear < 2"));
  CHECK_FALSE(holds("1 > loss.linear and 1 < 2"));
  CHECK_FALSE(holds("1 < 2 and 3 >= 4"));
  CHECK(holds("4 >= 4 and 5 > 4 and 0.9 < slope(t.line) < 1.1"));
}

TEST_CASE("reproduce: the numbers that a check takes are told, whatever it finds") {
  Fixed values;
  CHECK_FALSE(check("1 > loss.linear and slope(t.line) < 2 * time.softmax", values));
  CHECK(values.seen.size() == 3);
  CHECK(values.seen.at("loss.linear") == 2);
  CHECK(values.seen.at("time.softmax") == 4);
  CHECK(values.seen.at("slope(t.line)") == doctest::Approx(1));
}

TEST_CASE("reproduce: what was not measured is no verdict") {
  CHECK_THROWS_AS(holds("loss.linear < loss.lsh"), NotMeasured);
  CHECK_THROWS_AS(holds("at(t.line, 3) < 1"), NotMeasured);
}

TEST_CASE("reproduce: what is no check is refused where it stops being one") {
  check_expression_refused("loss.linear", "at character 12: expected one of <, <=, > and >=");
  check_expression_refused("loss < 1", "at character 6: expected \".\"");
  check_expression_refused("1 < 2 2", "at character 7: expected its end");
  check_expression_refused("1 < ", "expected a number or a name");
  check_expression_refused("median(t.line) < 1", "not \"median\"");
  check_expression_refused("at(t.line) < 1", "expected \",\"");
  check_expression_refused("(1 < 2", "expected \")\"");
  check_expression_refused("", "expected a number or a name");
}

}  // namespace
}  // namespace tarn::train::reproduce
