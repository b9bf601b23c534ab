// How far what was heard is from what was said.
#pragma once

#include <cstdint>
#include <span>

namespace tarn::data {

// The fewest edits that make one sequence of the other, and how long the true one is.
struct Edits {
  std::int64_t substitutions = 0, deletions = 0, insertions = 0;
  std::int64_t length = 0;

  std::int64_t errors() const { return substitutions + deletions + insertions; }
  // Errors over length, the phone error rate as a share (1 is 100 %); it may be above 1.
  double rate() const;
  Edits& operator+=(const Edits& other);
};

// A deletion is a phone that was said and not heard. Of several ways with as few edits, the one
// with the most substitutions.
Edits count_edits(std::span<const std::int32_t> said, std::span<const std::int32_t> heard);

}  // namespace tarn::data
