// The tables as GitHub's Markdown. Every text of the results passes through plain() or code().
#include <algorithm>
#include <cctype>
#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/check.h"
#include "train/reproduce/report_content.h"
#include "train/reproduce/report_formats.h"
#include "train/run/status_line.h"

namespace tarn::train::reproduce {
namespace {

// With what means something to Markdown escaped, on one line.
std::string plain(std::string_view text) {
  const auto letter = [&](std::size_t at) {
    return at < text.size() && std::isalnum(static_cast<unsigned char>(text[at])) != 0;
  };
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    bool means = std::string_view("\\`*[]<>&~$").find(c) != std::string_view::npos;
    // At the start of a line: a list, a heading, a rule.
    if (i == 0) means = means || std::string_view("-+#=").find(c) != std::string_view::npos;
    // Between letters it stands for itself, so that names stay readable.
    if (c == '_') means = i == 0 || !letter(i - 1) || !letter(i + 1);
    if (means) out += '\\';
    out += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
  }
  return out;
}

// A code span, behind more backquotes than it has in a row.
std::string code(std::string_view text) {
  if (text.empty()) return "";
  std::string content;
  std::size_t row = 0, longest = 0;
  for (const char c : text) {
    row = c == '`' ? row + 1 : 0;
    longest = std::max(longest, row);
    content += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
  }
  const std::string fence(longest + 1, '`');
  return longest == 0 ? message(fence, content, fence) : message(fence, " ", content, " ", fence);
}

// A line of a table. A bar would end its cell, in a code span too.
std::string line_of(const std::vector<std::string>& cells) {
  std::string line = "|";
  for (const std::string& cell : cells) {
    line += ' ';
    for (const char c : cell) line += c == '|' ? std::string("\\|") : std::string(1, c);
    line += cell.empty() ? "|" : " |";
  }
  return line + "\n";
}

// The heading and the line under it: the first `left` columns are texts, the others numbers.
std::string heading_of(const std::vector<std::string>& cells, std::size_t left) {
  std::vector<std::string> rule(cells.size(), "---:");
  std::fill_n(rule.begin(), std::min(left, rule.size()), "---");
  return line_of(cells) + line_of(rule);
}

std::string results_markdown(const ExperimentResult& experiment) {
  const Table table = results_table(experiment);
  std::vector<std::string> cells{""};
  for (const Table::Group& group : table.groups) {
    for (const std::string& column : group.columns) {
      const bool first = &column == group.columns.data();
      cells.push_back(first ? message(plain(group.title), ": ", column) : column);
    }
  }
  std::string out = table.rows.empty() ? "" : heading_of(cells, 1);
  for (const Table::Row& row : table.rows) {
    cells = {plain(row.title)};
    cells.insert(cells.end(), row.cells.begin(), row.cells.end());
    out += line_of(cells);
  }
  for (const std::string& note : table.notes) out += message("\n", plain(note), "\n");
  return out.empty() ? "" : out + "\n";
}

// The points of a chart as a table, a line for each x, where they are few. Longer curves are for
// the page.
std::string chart_markdown(const ChartResult& chart, const std::vector<RowResult>& rows) {
  constexpr std::size_t kMostLines = 16;
  std::set<double> all_x;
  std::vector<std::string> cells{plain(chart.x_title)};
  std::vector<const std::vector<Point>*> curves;
  for (const RowResult& row : rows) {
    const auto curve = row.curves.find(chart.name);
    if (curve == row.curves.end()) continue;
    for (const Point& point : curve->second) all_x.insert(point.first);
    cells.push_back(plain(row.title));
    curves.push_back(&curve->second);
  }
  if (all_x.empty() || all_x.size() > kMostLines) return "";
  std::string out = message(plain(chart.title), ", ", plain(chart.y_title), ":\n\n");
  out += heading_of(cells, 0);
  for (const double x : all_x) {
    cells = {text_of(Measured{x, 0, 1}, 0)};
    for (const std::vector<Point>* curve : curves) {
      const auto point = std::find_if(curve->begin(), curve->end(),
                                      [&](const Point& one) { return one.first == x; });
      cells.push_back(point == curve->end() ? "" : text_of(Measured{point->second, 0, 1}, 2));
    }
    out += line_of(cells);
  }
  return out + "\n";
}

std::string claims_markdown(const ExperimentResult& experiment) {
  std::string out;
  for (const ClaimResult& claim : experiment.claims) {
    out += message("- **", text_of(claim.verdict), "**: ", plain(claim.text));
    if (!claim.place.empty()) out += message(" (", plain(claim.place), ")");
    out += message("  \n  ", code(claim.check));
    if (!claim.numbers.empty()) out += message(" where ", plain(numbers_text(claim)));
    if (!claim.missing.empty()) out += message(" – ", plain(claim.missing));
    out += "\n";
  }
  return out.empty() ? "" : out + "\n";
}

std::string pictures_markdown(const ExperimentResult& experiment) {
  std::string out;
  for (const PictureResult& picture : experiment.pictures) {
    out += message("**", plain(picture.title), "**", picture.caption.empty() ? "" : " ",
                   plain(picture.caption), "\n\n");
    out += picture.missing.empty() ? message("![", plain(picture.title), "](<../",
                                             plain(picture.file.generic_string()), ">)\n\n")
                                   : message("no picture: ", plain(picture.missing), "\n\n");
  }
  return out;
}

std::string runs_markdown(const ExperimentResult& experiment) {
  std::string out;
  for (const RowResult& row : experiment.rows) {
    if (row.config.empty()) continue;
    std::string set;
    for (const std::string& change : row.set) set += message(set.empty() ? "" : " ", code(change));
    out += line_of(
        {plain(row.title), code(row.config), set, code(row.config_hash.substr(0, kHashDigits))});
  }
  if (out.empty()) return "";
  return heading_of({"", "Config", "Changed in it", "Hash"}, 4) + out + "\n";
}

std::string experiment_markdown(const ExperimentResult& experiment) {
  std::string out = message("## ", plain(experiment.title), "\n\n");
  if (!experiment.place.empty()) out += plain(experiment.place) + "\n\n";
  if (!experiment.about.empty()) out += plain(experiment.about) + "\n\n";
  if (!experiment.missing.empty()) out += message("Missing: ", plain(experiment.missing), "\n\n");
  for (const ChartResult& chart : experiment.charts) out += chart_markdown(chart, experiment.rows);
  return out + results_markdown(experiment) + claims_markdown(experiment) +
         pictures_markdown(experiment) + runs_markdown(experiment);
}

std::string times_markdown(const Results& results) {
  std::string out = message("## Times\n\n", heading_of({"", "", "Time"}, 2));
  for (const ExperimentResult& experiment : results.experiments) {
    if (experiment.seconds == 0) continue;
    out += line_of({plain(experiment.title), "", duration_text(experiment.seconds)});
    for (const RowResult& row : experiment.rows) {
      if (row.seconds != 0) out += line_of({"", plain(row.title), duration_text(row.seconds)});
    }
  }
  return out + "\n";
}

std::string machine_markdown(const Machine& machine) {
  std::string out = "## Machine and program\n\n";
  for (const auto& [name, value] : facts_of(machine)) {
    out += message("- ", name, ": ", plain(value), "\n");
  }
  return out;
}

}  // namespace

std::string to_markdown(const Results& results) {
  std::string out = message("# Transformers are RNNs, reproduced\n\nScale: ", plain(results.scale),
                            ". Claims: ", text_of(count_verdicts(results.experiments)), ".\n\n");
  for (const ExperimentResult& experiment : results.experiments) {
    out += experiment_markdown(experiment);
  }
  return out + times_markdown(results) + machine_markdown(results.machine);
}

}  // namespace tarn::train::reproduce
