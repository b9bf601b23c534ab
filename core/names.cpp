#include "core/names.h"

#include <algorithm>
#include <sstream>
#include <vector>

namespace tarn {
namespace {

// Longer names are nobody's misspelling; the bound keeps the distance cheap on hostile input.
constexpr std::size_t kLongestName = 64;

}  // namespace

std::size_t edit_distance(std::string_view a, std::string_view b) {
  if (a.size() > kLongestName || b.size() > kLongestName) return a.size() + b.size();
  std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) {
    for (std::size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        d[i][j] = i + j;
        continue;
      }
      const std::size_t replaced = d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      d[i][j] = std::min({replaced, d[i - 1][j] + 1, d[i][j - 1] + 1});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
      }
    }
  }
  return d[a.size()][b.size()];
}

bool is_misspelling(std::size_t distance, std::string_view name) {
  return distance <= std::max<std::size_t>(1, name.size() / 3);
}

std::string nearest_name(std::string_view text, std::span<const std::string> names) {
  std::string best;
  std::size_t best_distance = kLongestName;
  for (const std::string& name : names) {
    const std::size_t distance = edit_distance(text, name);
    if (distance >= best_distance || !is_misspelling(distance, name)) continue;
    best = name;
    best_distance = distance;
  }
  return best;
}

std::string joined(std::span<const std::string> names, std::string_view separator) {
  std::string all;
  for (const std::string& name : names) {
    if (&name != &names.front()) all += separator;
    all += name;
  }
  return all;
}

std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> words;
  std::istringstream in(text);
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

}  // namespace tarn
