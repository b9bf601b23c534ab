// What index.html and results.md both show, before it is formatted: tables of texts, and counts.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "train/reproduce/results.h"

namespace tarn::train::reproduce {

struct Table {
  // A heading over columns that have headings of their own: "Bits per dimension" over "paper" and
  // "tarn".
  struct Group {
    std::string title;
    std::vector<std::string> columns;
  };
  struct Row {
    std::string title;
    std::vector<std::string> cells;  // of all groups, one after another
  };
  std::vector<Group> groups;
  std::vector<Row> rows;
  std::vector<std::string> notes;  // under the table: "¹ why" of the cells with "no result¹"
};

// As many digits of a config's hash are shown: enough to tell two apart.
inline constexpr std::size_t kHashDigits = 10;

// What the paper has, as it prints it, and what was measured. A row without a result says so, and a
// note says why. Without columns there are notes alone.
Table results_table(const ExperimentResult& experiment);

// "0.982 ± 0.004": with so many digits behind the point, and the deviation where there are several
// seeds. A large number has fewer, five in all, and one below 1 at least two that are not zeros.
std::string text_of(const Measured& measured, int digits);

// How many claims there are of each verdict, in the order of kVerdicts.
using VerdictCounts = std::array<std::int64_t, kVerdicts.size()>;
VerdictCounts count_verdicts(std::span<const ExperimentResult> experiments);
// "hold", or "holds" of one: what stands behind a count.
std::string text_of(Verdict verdict, std::int64_t count);
// "3 hold, 1 does not hold"; "no claims".
std::string text_of(const VerdictCounts& counts);

// "loss.linear = 0.00035, loss.softmax = 0.00031"
std::string numbers_text(const ClaimResult& claim);

// What is known of the machine, as name and value; nothing of what is not known.
std::vector<std::pair<std::string, std::string>> facts_of(const Machine& machine);

}  // namespace tarn::train::reproduce
