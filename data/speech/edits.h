// The errors of a recogniser: the edits between a reference and a hypothesis.
#pragma once

#include <cstdint>
#include <span>

namespace tarn::data {

// The fewest edits that turn the reference into the hypothesis, and the length of the reference.
struct Edits {
  std::int64_t substitutions = 0, deletions = 0, insertions = 0;
  std::int64_t length = 0;

  std::int64_t errors() const { return substitutions + deletions + insertions; }
  // Errors over length, the phone error rate as a share (1 is 100 %); it may be above 1.
  double rate() const;
  Edits& operator+=(const Edits& other);
};

// Levenshtein's distance. A deletion is a phone of the reference that the hypothesis lacks. Of
// several ways with as few edits, the one with the most substitutions is counted.
Edits count_edits(std::span<const std::int32_t> reference,
                  std::span<const std::int32_t> hypothesis);

}  // namespace tarn::data
