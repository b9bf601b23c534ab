#include "train/reproduce/expression.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <string_view>

#include "core/check.h"

namespace tarn::train::reproduce {
namespace {

double mean(const Curve& curve) {
  double sum = 0;
  for (const Point& point : curve) sum += point.second;
  return sum / static_cast<double>(curve.size());
}

const Point& smallest(const Curve& curve) {
  return *std::min_element(curve.begin(), curve.end(),
                           [](const Point& a, const Point& b) { return a.second < b.second; });
}

const Point& largest(const Curve& curve) {
  return *std::max_element(curve.begin(), curve.end(),
                           [](const Point& a, const Point& b) { return a.second < b.second; });
}

double slope(const Curve& curve) {
  double x = 0, y = 0, xx = 0, xy = 0;
  for (const Point& point : curve) {
    const double u = std::log(point.first), v = std::log(point.second);
    x += u, y += v, xx += u * u, xy += u * v;
  }
  const auto n = static_cast<double>(curve.size());
  return (n * xy - x * y) / (n * xx - x * x);
}

double value_at(const Curve& curve, double x) {
  for (const Point& point : curve) {
    if (point.first == x) return point.second;
  }
  throw NotMeasured(message("there is no point at ", x));
}

struct CurveFunction {
  std::string_view name;
  double (*of)(const Curve&);
};
constexpr CurveFunction kOfCurve[] = {
    {"first", [](const Curve& curve) { return curve.front().second; }},
    {"last", [](const Curve& curve) { return curve.back().second; }},
    {"min", [](const Curve& curve) { return smallest(curve).second; }},
    {"max", [](const Curve& curve) { return largest(curve).second; }},
    {"mean", mean},
    {"spread", [](const Curve& curve) { return largest(curve).second / smallest(curve).second; }},
    {"slope", slope}};

// A recursive-descent parser that computes the value while it reads.
class Reader {
 public:
  Reader(std::string_view text, Values& values) : text_(text), values_(values) {}

  double number() {
    const double value = sum();
    end();
    return value;
  }

  bool check() {
    bool holds = comparisons();
    while (take("and")) holds = comparisons() && holds;
    end();
    return holds;
  }

 private:
  bool comparisons() {
    double left = sum();
    bool holds = true;
    int count = 0;
    for (;; ++count) {
      if (take("<=")) {
        const double right = sum();
        holds = holds && left <= right;
        left = right;
      } else if (take(">=")) {
        const double right = sum();
        holds = holds && left >= right;
        left = right;
      } else if (take("<")) {
        const double right = sum();
        holds = holds && left < right;
        left = right;
      } else if (take(">")) {
        const double right = sum();
        holds = holds && left > right;
        left = right;
      } else {
        break;
      }
    }
    if (count == 0) stop("one of <, <=, > and >=");
    return holds;
  }

  double sum() {
    double value = product();
    for (;;) {
      if (take("+")) {
        value += product();
      } else if (take("-")) {
        value -= product();
      } else {
        return value;
      }
    }
  }

  double product() {
    double value = factor();
    for (;;) {
      if (take("*")) {
        value *= factor();
      } else if (take("/")) {
        value /= factor();
      } else {
        return value;
      }
    }
  }

  double factor() {
    if (take("-")) return -factor();
    if (take("(")) {
      const double value = sum();
      expect(")");
      return value;
    }
    skip_spaces();
    if (at_ < text_.size() && (std::isdigit(static_cast<unsigned char>(text_[at_])) != 0)) {
      return literal();
    }
    const std::size_t begin = at_;
    const double value = measured();
    values_.used(std::string(text_.substr(begin, at_ - begin)), value);
    return value;
  }

  double measured() {
    const std::string first = name();
    if (take("(")) return function(first);
    expect(".");
    return values_.number(first, name());
  }

  double function(const std::string& called) {
    const auto* const found =
        std::find_if(std::begin(kOfCurve), std::end(kOfCurve),
                     [&](const CurveFunction& one) { return one.name == called; });
    if (found == std::end(kOfCurve) && called != "at") {
      stop("a function (first, last, min, max, mean, spread, slope, at), not \"" + called + "\"");
    }
    const std::string chart = name();
    expect(".");
    const Curve& curve = values_.curve(chart, name());
    double value = 0;
    if (called == "at") {
      expect(",");
      value = value_at(curve, sum());
    } else {
      value = found->of(curve);
    }
    expect(")");
    return value;
  }

  double literal() {
    double value = 0;
    const char* begin = text_.data() + at_;
    const auto [end, error] = std::from_chars(begin, text_.data() + text_.size(), value);
    if (error != std::errc{}) stop("a number");
    at_ += static_cast<std::size_t>(end - begin);
    return value;
  }

  std::string name() {
    skip_spaces();
    const std::size_t begin = at_;
    while (at_ < text_.size() &&
           (std::isalnum(static_cast<unsigned char>(text_[at_])) != 0 || text_[at_] == '_')) {
      ++at_;
    }
    if (at_ == begin) stop("a number or a name");
    return std::string(text_.substr(begin, at_ - begin));
  }

  bool take(std::string_view token) {
    skip_spaces();
    if (!text_.substr(at_).starts_with(token)) return false;
    at_ += token.size();
    return true;
  }

  void expect(std::string_view token) {
    if (!take(token)) stop(message("\"", token, "\""));
  }

  void end() {
    skip_spaces();
    if (at_ < text_.size()) stop("its end");
  }

  void skip_spaces() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }

  [[noreturn]] void stop(const std::string& what) const {
    throw ConfigError(message("in \"", text_, "\", at character ", at_ + 1, ": expected ", what));
  }

  std::string_view text_;
  Values& values_;
  std::size_t at_ = 0;
};

}  // namespace

double evaluate(const std::string& text, Values& values) { return Reader(text, values).number(); }

bool check(const std::string& text, Values& values) { return Reader(text, values).check(); }

}  // namespace tarn::train::reproduce
