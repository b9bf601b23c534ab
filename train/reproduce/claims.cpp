#include "train/reproduce/claims.h"

#include <algorithm>

#include "core/check.h"
#include "train/reproduce/expression.h"

namespace tarn::train::reproduce {
namespace {

// The values of the names in formulas and claims: the numbers of an experiment's result.
class Measurements : public Values {
 public:
  explicit Measurements(const ExperimentResult& result) : result_(result) {}

  double number(const std::string& column, const std::string& row) const override {
    return find(row, column, &RowResult::values).mean;
  }
  const std::vector<Point>& curve(const std::string& chart, const std::string& row) const override {
    return find(row, chart, &RowResult::curves);
  }
  void used(const std::string& text, double value) override {
    if (std::find(numbers_.begin(), numbers_.end(), std::pair(text, value)) == numbers_.end()) {
      numbers_.emplace_back(text, value);
    }
  }

  const std::vector<std::pair<std::string, double>>& numbers() const { return numbers_; }

 private:
  template <class T>
  const T& find(const std::string& row, const std::string& name,
                std::map<std::string, T> RowResult::*of) const {
    for (const RowResult& one : result_.rows) {
      if (one.name != row) continue;
      const auto found = (one.*of).find(name);
      if (found != (one.*of).end()) return found->second;
      throw NotMeasured(message("there is no ", name, " of ", row,
                                one.missing.empty() ? "" : ": " + one.missing));
    }
    throw NotMeasured(message(row, " was left out"));
  }

  const ExperimentResult& result_;
  std::vector<std::pair<std::string, double>> numbers_;
};

}  // namespace

void compute_formulas(const Experiment& experiment, ExperimentResult& result) {
  for (const Column& column : experiment.columns) {
    if (column.formula.empty()) continue;
    for (RowResult& row : result.rows) {
      if (!includes(column.source.rows, row.name)) continue;
      Measurements measurements(result);
      try {
        const std::string formula = replaced(column.formula, "{row}", row.name);
        row.values[column.name] = {evaluate(formula, measurements), 0, 1};
      } catch (const NotMeasured&) {
        continue;  // an empty cell
      }
    }
  }
}

ClaimResult judge(const Claim& claim, const ExperimentResult& result, bool testable) {
  ClaimResult judged;
  judged.text = claim.text;
  judged.place = claim.place;
  judged.check = claim.check;
  if (!testable) {
    judged.verdict = Verdict::not_at_this_scale;
    return judged;
  }
  Measurements measurements(result);
  try {
    judged.verdict = check(claim.check, measurements) ? Verdict::holds : Verdict::does_not_hold;
  } catch (const NotMeasured& error) {
    judged.missing = error.what();
  }
  judged.numbers = measurements.numbers();
  return judged;
}

bool falls_short(const Results& results) {
  for (const ExperimentResult& experiment : results.experiments) {
    for (const ClaimResult& claim : experiment.claims) {
      if (claim.verdict == Verdict::does_not_hold || claim.verdict == Verdict::not_tested) {
        return true;
      }
    }
  }
  return false;
}

}  // namespace tarn::train::reproduce
