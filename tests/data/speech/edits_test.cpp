#include "data/speech/edits.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "core/rng.h"

namespace tarn::data {
namespace {

using Phones = std::vector<std::int32_t>;

void check(const Phones& reference, const Phones& hypothesis,
           const std::vector<std::int64_t>& expected) {
  const Edits edits = count_edits(reference, hypothesis);
  CHECK(std::vector{edits.substitutions, edits.deletions, edits.insertions} == expected);
  CHECK(edits.length == static_cast<std::int64_t>(reference.size()));
}

TEST_CASE("edits: substitutions, deletions, insertions") {
  check({}, {}, {0, 0, 0});
  check({1, 2, 3}, {1, 2, 3}, {0, 0, 0});
  check({1, 2, 3}, {}, {0, 3, 0});
  check({}, {1, 2}, {0, 0, 2});
  check({1, 2, 3}, {1, 3}, {0, 1, 0});
  check({1, 3}, {1, 2, 3}, {0, 0, 1});
  check({1, 2, 3}, {1, 4, 3}, {1, 0, 0});
  check({1, 2, 3, 4}, {2, 3, 4, 5}, {0, 1, 1});
  check({1, 2}, {2, 1}, {2, 0, 0});  // as many edits as one deletion and one insertion
  check({1, 1, 1}, {1}, {0, 2, 0});
}

// By trying everything: the fewest errors from reference[i ..) and hypothesis[j ..) on.
std::int64_t fewest(const Phones& reference, const Phones& hypothesis, std::size_t i,
                    std::size_t j) {
  if (i == reference.size()) return static_cast<std::int64_t>(hypothesis.size() - j);
  if (j == hypothesis.size()) return static_cast<std::int64_t>(reference.size() - i);
  const std::int64_t here = reference[i] == hypothesis[j] ? 0 : 1;
  return std::min({here + fewest(reference, hypothesis, i + 1, j + 1),
                   1 + fewest(reference, hypothesis, i + 1, j),
                   1 + fewest(reference, hypothesis, i, j + 1)});
}

TEST_CASE("edits: as few as there can be, and their kinds add up") {
  const RngAddress at{1, site_of("edits"), 0};
  std::uint64_t draw = 0;
  for (int i = 0; i < 200; ++i) {
    Phones reference(random_below(at, draw++, 7)), hypothesis(random_below(at, draw++, 7));
    for (Phones* phones : {&reference, &hypothesis}) {
      for (std::int32_t& phone : *phones) {
        phone = static_cast<std::int32_t>(random_below(at, draw++, 3));
      }
    }
    const Edits edits = count_edits(reference, hypothesis);
    CHECK(edits.errors() == fewest(reference, hypothesis, 0, 0));
    CHECK(edits.deletions - edits.insertions == static_cast<std::int64_t>(reference.size()) -
                                                    static_cast<std::int64_t>(hypothesis.size()));
  }
}

TEST_CASE("edits: the rate is of all utterances together") {
  Edits total = count_edits(Phones{1, 2, 3}, Phones{1});
  total += count_edits(Phones{1}, Phones{2});
  CHECK(total.length == 4);
  CHECK(total.rate() == doctest::Approx(0.75));
  CHECK(Edits().rate() == 0);
  CHECK(count_edits(Phones{}, Phones{1}).rate() == 1);
}

}  // namespace
}  // namespace tarn::data
