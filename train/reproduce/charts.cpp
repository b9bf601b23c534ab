#include "train/reproduce/charts.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <regex>
#include <string_view>

#include "core/check.h"
#include "train/reproduce/child_process.h"
#include "train/run/signals.h"
#include "train/run/status_line.h"

namespace tarn::train::reproduce {
namespace {

// Colours that the page chooses: as gnuplot is given them, as it writes them, and the page's names.
struct Themed {
  const char* colour;
  const char* pattern;
  const char* variable;
};
constexpr std::array<Themed, 3> kThemed{{{"#202020", "rgb\\( *32, *32, *32\\)", "var(--text)"},
                                         {"#606060", "rgb\\( *96, *96, *96\\)", "var(--muted)"},
                                         {"#e0e0e0", "rgb\\( *224, *224, *224\\)", "var(--line)"}}};
constexpr const char* kText = kThemed[0].colour;
constexpr const char* kMuted = kThemed[1].colour;
constexpr const char* kLine = kThemed[2].colour;

struct Look {
  const char* colour;
  int point;  // gnuplot's number
};
// Colours that colour-blind readers can tell apart (Okabe and Ito), and points for print in grey.
constexpr std::array<Look, 7> kLooks{{{"#0072b2", 7},
                                      {"#d55e00", 5},
                                      {"#009e73", 9},
                                      {"#cc79a7", 13},
                                      {"#e69f00", 11},
                                      {"#56b4e9", 6},
                                      {kText, 4}}};

// Text in gnuplot's single quotes, within which it interprets nothing.
std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') out += '\'';
    out += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
  }
  return out + "'";
}

bool can_be_drawn(const Point& point, const ChartResult& chart) {
  const auto fits = [](double value, bool log) {
    return std::isfinite(value) && (!log || value > 0);
  };
  return fits(point.first, chart.x_log) && fits(point.second, chart.y_log);
}

// "2500", "20k", "1.2M".
std::string tick_text(double value) {
  if (std::abs(value) >= 1e6) return number_text("%gM", value / 1e6);
  return std::abs(value) >= 1e4 ? number_text("%gk", value / 1e3) : number_text("%g", value);
}

struct Range {
  double lowest = HUGE_VAL, highest = -HUGE_VAL;

  void include(double value) {
    lowest = std::min(lowest, value);
    highest = std::max(highest, value);
  }
};

// The range of an axis and about five ticks: gnuplot's own would run into each other on a small
// chart. A logarithmic axis of less than a power of ten has the ticks of a linear one.
std::string axis_of(char axis, bool log, const Range& range) {
  const std::string scale = log ? message("set logscale ", std::string(1, axis), "\n") : "";
  if (log && range.highest >= 10 * range.lowest) {
    return range.lowest < 1 ? scale
                            : message(scale, "set format ", std::string(1, axis), " '%.0s%c'\n");
  }
  const double rough = (range.highest - range.lowest) / 5;
  if (!(rough > 0)) {  // one value alone
    return message(scale, "set ", std::string(1, axis), "tics ('", tick_text(range.lowest), "' ",
                   number_text("%.9g", range.lowest), ")\n");
  }
  const double power = std::pow(10, std::floor(std::log10(rough)));
  const double step = power * (rough <= power       ? 1
                               : rough <= 2 * power ? 2
                               : rough <= 5 * power ? 5
                                                    : 10);
  const double first = std::floor(range.lowest / step), last = std::ceil(range.highest / step);
  std::string ticks;
  for (int i = 0; i <= static_cast<int>(last - first); ++i) {
    const double value = (first + i) * step;
    if (log && value <= 0) continue;
    ticks +=
        message(ticks.empty() ? "" : ", ", "'", tick_text(value), "' ", number_text("%.9g", value));
  }
  const double from = log && first <= 0 ? range.lowest : first * step;
  return message(scale, "set ", std::string(1, axis), "tics (", ticks, ")\nset ",
                 std::string(1, axis), "range [", number_text("%.9g", from), ":",
                 number_text("%.9g", last * step), "]\n");
}

// gnuplot's commands; empty if there is nothing to draw.
std::string script_of(const ChartResult& chart, const std::vector<RowResult>& rows,
                      const std::vector<std::string>& methods) {
  std::string data, plots;
  std::size_t count = 0;
  Range x_range, y_range;
  for (const RowResult& row : rows) {
    const auto curve = row.curves.find(chart.name);
    if (curve == row.curves.end()) continue;
    std::string points;
    for (const auto& [x, y] : curve->second) {
      if (!can_be_drawn({x, y}, chart)) continue;
      points += message(number_text("%.9g", x), " ", number_text("%.9g", y), "\n");
      x_range.include(x);
      y_range.include(y);
    }
    if (points.empty()) continue;
    const auto place = static_cast<std::size_t>(
        std::find(methods.begin(), methods.end(), row.name) - methods.begin());
    const Look& look = kLooks[place % kLooks.size()];
    data += message("$data", count, " << END\n", points, "END\n");
    plots +=
        message(count == 0 ? "plot " : ", ", "$data", count,
                " with linespoints lw 2 ps 0.7 pointnumber 9 pt ", look.point, " dt ",
                place / kLooks.size() + 1, " lc rgb '", look.colour, "' title ", quoted(row.title));
    ++count;
  }
  if (count == 0) return "";
  const std::string text = message(" noenhanced textcolor rgb '", kText, "'\n");
  return message(
      "set encoding utf8\n"
      "set terminal svg size 480,360 fixed font 'Helvetica,Arial,sans-serif,15'\n",
      "set border 3 lc rgb '", kMuted, "'\n", "set tics nomirror out scale 0.6 textcolor rgb '",
      kText, "'\n", "set grid lt 1 dt 1 lw 0.8 lc rgb '", kLine, "'\n",
      "set key outside bottom center horizontal Left reverse samplen 2 spacing 1.2 height 0.6",
      text, "set xlabel ", quoted(chart.x_title), text, "set ylabel ", quoted(chart.y_title), text,
      axis_of('x', chart.x_log, x_range), axis_of('y', chart.y_log, y_range), data, plots, "\n");
}

// Applies the change to the tags of an SVG, and not to the texts between them.
template <class Change>
std::string with_tags_changed(std::string_view svg, const Change& change) {
  std::string out;
  while (!svg.empty()) {
    const std::size_t begin = std::min(svg.find('<'), svg.size());
    out += svg.substr(0, begin);
    svg.remove_prefix(begin);
    const std::size_t end = std::min(svg.find('>'), svg.size());
    out += change(std::string(svg.substr(0, end)));
    svg.remove_prefix(end);
  }
  return out;
}

// Turns an SVG file into an element of a page: without declarations, with ids that no other chart
// has and with the page's colours, and without the name and version of the program that drew it.
std::string as_element(const std::string& file, const std::string& prefix) {
  static const std::regex description("<title>Gnuplot</title>\\s*<desc>[^<]*</desc>");
  static const std::regex declaration("\\s+xmlns(:xlink)?=\"[^\"]*\"");
  static const std::regex id(R"( (id=|xlink:href=)(['"])(#?))");
  static const std::regex link("xlink:href");
  static const std::array<std::regex, kThemed.size()> colours{std::regex(kThemed[0].pattern),
                                                              std::regex(kThemed[1].pattern),
                                                              std::regex(kThemed[2].pattern)};
  const std::size_t begin = file.find("<svg");
  TARN_CHECK(begin != std::string::npos, "gnuplot wrote no SVG");
  const std::string svg = std::regex_replace(file.substr(begin), description, "");
  const std::string replacement = message(" $1$2$3", prefix);
  return with_tags_changed(svg, [&](std::string tag) {
    if (tag.starts_with("<svg")) tag = std::regex_replace(tag, declaration, "");
    tag = std::regex_replace(tag, id, replacement);
    tag = std::regex_replace(tag, link, "href");
    for (std::size_t i = 0; i < kThemed.size(); ++i) {
      tag = std::regex_replace(tag, colours[i], kThemed[i].variable);
    }
    return tag;
  });
}

ChildResult run_gnuplot(const std::string& option, const std::string& script) {
  try {
    return run_child({"gnuplot", option}, script);
  } catch (const IoError& error) {
    fail<UserError>(error.what(), "; it draws the report's charts: as root, run ",
                    "apt-get install gnuplot-nox");
  }
}

}  // namespace

void check_gnuplot() { run_gnuplot("--version", ""); }

std::vector<std::string> methods_of(const Results& results) {
  std::vector<std::string> methods;
  for (const ExperimentResult& experiment : results.experiments) {
    for (const RowResult& row : experiment.rows) {
      const bool known = std::find(methods.begin(), methods.end(), row.name) != methods.end();
      if (!known && !row.curves.empty()) methods.push_back(row.name);
    }
  }
  return methods;
}

std::string chart_svg(const ChartResult& chart, const std::vector<RowResult>& rows,
                      const std::vector<std::string>& methods, const std::string& prefix) {
  const std::string script = script_of(chart, rows, methods);
  if (script.empty()) return "";
  // Without the user's own settings of gnuplot.
  const ChildResult drawn = run_gnuplot("--default-settings", script);
  if (drawn.signal != 0) stop_if_signalled();  // passed on, or the terminal's
  TARN_CHECK(drawn.exit_code == 0, "gnuplot failed at the chart ", chart.name, ": ", drawn.errors);
  return as_element(drawn.output, prefix);
}

}  // namespace tarn::train::reproduce
