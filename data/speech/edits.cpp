#include "data/speech/edits.h"

#include <algorithm>
#include <vector>

namespace tarn::data {

double Edits::rate() const {
  return static_cast<double>(errors()) / static_cast<double>(std::max<std::int64_t>(1, length));
}

Edits& Edits::operator+=(const Edits& other) {
  substitutions += other.substitutions;
  deletions += other.deletions;
  insertions += other.insertions;
  length += other.length;
  return *this;
}

Edits count_edits(std::span<const std::int32_t> reference,
                  std::span<const std::int32_t> hypothesis) {
  const auto better = [](const Edits& a, const Edits& b) {
    return a.errors() != b.errors() ? a.errors() < b.errors() : a.substitutions > b.substitutions;
  };
  const auto with = [](Edits edits, std::int64_t Edits::*kind) {
    ++(edits.*kind);
    return edits;
  };
  // best[j]: the edits between reference[0 .. i) and hypothesis[0 .. j).
  std::vector<Edits> best(hypothesis.size() + 1);
  for (std::size_t j = 1; j <= hypothesis.size(); ++j)
    best[j] = with(best[j - 1], &Edits::insertions);
  for (std::size_t i = 1; i <= reference.size(); ++i) {
    Edits diagonal = best[0];
    best[0] = with(best[0], &Edits::deletions);
    for (std::size_t j = 1; j <= hypothesis.size(); ++j) {
      const Edits replaced =
          reference[i - 1] == hypothesis[j - 1] ? diagonal : with(diagonal, &Edits::substitutions);
      diagonal = best[j];
      best[j] = std::min(
          {replaced, with(best[j], &Edits::deletions), with(best[j - 1], &Edits::insertions)},
          better);
    }
  }
  best.back().length = static_cast<std::int64_t>(reference.size());
  return best.back();
}

}  // namespace tarn::data
