#include "train/reproduce/report_content.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "core/check.h"
#include "train/run/status_line.h"

namespace tarn::train::reproduce {
namespace {

constexpr const char* kNothing = "–";

// How many decimals a number is shown with, where its column asks for `decimals`.
int digits_of(double value, int decimals) {
  if (value == 0 || !std::isfinite(value)) return decimals;
  const int leading = static_cast<int>(std::floor(std::log10(std::abs(value)))) + 1;  // 3 of 142.8
  return leading > 0 ? std::min(decimals, std::max(0, 5 - leading))
                     : std::max(decimals, 2 - leading);
}

std::string number(double value, int digits) {
  constexpr int kMost = 9;  // behind the point, or in front of it
  if (!std::isfinite(value)) return "not finite";
  if (digits > kMost || std::abs(value) >= std::pow(10, kMost)) return number_text("%.3g", value);
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", std::max(digits, 0), value);
  return text;
}

// "¹", "²", ..., "¹⁰".
std::string superscript(std::size_t value) {
  constexpr std::array kDigits{"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
  std::string text;
  for (const char digit : std::to_string(value))
    text += kDigits[static_cast<std::size_t>(digit - '0')];
  return text;
}

// Where the note stands in the list, from 1; it is added if it is new.
std::size_t number_of(const std::string& note, std::vector<std::string>& notes) {
  const auto found = std::find(notes.begin(), notes.end(), note);
  const auto at = static_cast<std::size_t>(found - notes.begin());
  if (found == notes.end()) notes.push_back(note);
  return at + 1;
}

// What the numbers behind "±" are.
std::string note_on_seeds(const ExperimentResult& experiment) {
  std::int64_t fewest = 0, most = 0;
  for (const RowResult& row : experiment.rows) {
    for (const auto& [name, measured] : row.values) {
      if (measured.count < 2) continue;
      fewest = fewest == 0 ? measured.count : std::min(fewest, measured.count);
      most = std::max(most, measured.count);
    }
  }
  if (most == 0) return "";
  const std::string range = fewest == most ? message(most) : message(fewest, " to ", most);
  return message("mean ± standard deviation of ", range, " seeds");
}

}  // namespace

std::string text_of(const Measured& measured, int digits) {
  digits = digits_of(measured.mean, digits);
  const std::string mean = number(measured.mean, digits);
  return measured.count > 1 ? message(mean, " ± ", number(measured.deviation, digits)) : mean;
}

Table results_table(const ExperimentResult& experiment) {
  Table table;
  for (const ColumnResult& column : experiment.columns) {
    table.groups.push_back({column.title, column.paper.empty()
                                              ? std::vector<std::string>{"tarn"}
                                              : std::vector<std::string>{"paper", "tarn"}});
  }
  for (const RowResult& row : experiment.rows) {
    if (table.groups.empty()) {  // no cell could say so
      if (!row.missing.empty())
        table.notes.push_back(message(row.title, ": no result: ", row.missing));
      continue;
    }
    Table::Row& out = table.rows.emplace_back(Table::Row{row.title, {}});
    for (const ColumnResult& column : experiment.columns) {
      if (!column.paper.empty()) {
        const auto paper = column.paper.find(row.name);
        out.cells.push_back(paper == column.paper.end() ? kNothing
                                                        : number_text("%.9g", paper->second));
      }
      const auto value = row.values.find(column.name);
      if (value != row.values.end()) {
        out.cells.push_back(text_of(value->second, column.digits));
      } else if (!row.missing.empty()) {
        out.cells.push_back(message("no result", superscript(number_of(row.missing, table.notes))));
      } else {
        out.cells.emplace_back(kNothing);
      }
    }
  }
  for (std::size_t i = 0; i < table.notes.size() && !table.rows.empty(); ++i) {
    table.notes[i] = message(superscript(i + 1), " ", table.notes[i]);
  }
  if (const std::string seeds = note_on_seeds(experiment); !seeds.empty()) {
    table.notes.push_back(seeds);
  }
  return table;
}

VerdictCounts count_verdicts(std::span<const ExperimentResult> experiments) {
  VerdictCounts counts{};
  for (const ExperimentResult& experiment : experiments) {
    for (const ClaimResult& claim : experiment.claims) {
      ++counts[static_cast<std::size_t>(claim.verdict)];
    }
  }
  return counts;
}

std::string text_of(Verdict verdict, std::int64_t count) {
  if (count == 1) return text_of(verdict);
  if (verdict == Verdict::holds) return "hold";
  if (verdict == Verdict::does_not_hold) return "do not hold";
  return text_of(verdict);
}

std::string text_of(const VerdictCounts& counts) {
  std::string text;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] == 0) continue;
    text += message(text.empty() ? "" : ", ", counts[i], " ", text_of(kVerdicts[i], counts[i]));
  }
  return text.empty() ? "no claims" : text;
}

std::string numbers_text(const ClaimResult& claim) {
  std::string text;
  for (const auto& [name, value] : claim.numbers) {
    text += message(text.empty() ? "" : ", ", name, " = ", number_text("%.4g", value));
  }
  return text;
}

std::vector<std::pair<std::string, std::string>> facts_of(const Machine& machine) {
  std::vector<std::pair<std::string, std::string>> facts{
      {"Processor", machine.processor},
      {"Instruction set", machine.instruction_set},
      {"Threads", machine.threads == 0 ? "" : std::to_string(machine.threads)},
      {"Device", machine.device},
      {"BLAS", machine.blas},
      {"tarn", machine.version},
      {"Commit", machine.commit}};
  std::erase_if(facts, [](const auto& fact) { return fact.second.empty(); });
  return facts;
}

}  // namespace tarn::train::reproduce
