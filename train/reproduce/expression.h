// Arithmetic on measured numbers, as the formulas and checks of experiment.toml have it:
//
//   loss.linear <= 1.05 * loss.softmax
//   0.9 < slope(time.linear) < 1.15 and slope(time.softmax) > 1.6
//
// `column.row` is a number; a chart's curve stands in a function: first, last, min, max, mean of
// its values; spread, the largest over the smallest; slope, the exponent p of the power law y = c
// x^p that fits best (least squares of the logarithms); at(chart.row, x), the value at that x.
#pragma once

#include <string>
#include <vector>

#include "core/check.h"
#include "train/reproduce/results.h"

namespace tarn::train::reproduce {

// Thrown for a number or a point of a curve that was not measured; says why.
class NotMeasured : public Error {
 public:
  using Error::Error;
};

// Gives the numbers behind the names, or throws NotMeasured.
class Values {
 public:
  virtual ~Values() = default;
  virtual double number(const std::string& column, const std::string& row) const = 0;
  virtual const std::vector<Point>& curve(const std::string& chart,
                                          const std::string& row) const = 0;
  // Called for each number that an expression uses, with its text: "loss.linear",
  // "slope(time.linear)".
  virtual void used(const std::string&, double) {}
};

// ConfigError that quotes the text and says where it stops being an expression. All names are
// looked up, whatever the outcome.
double evaluate(const std::string& text, Values& values);
bool check(const std::string& text, Values& values);

}  // namespace tarn::train::reproduce
