#include "train/run/sparkline.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

namespace tarn::train {
namespace {

constexpr std::array<const char*, 8> kBlocks{"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};

// Of those that are finite; NaN if none is.
double mean_of(std::span<const double> values) {
  double total = 0, count = 0;
  for (const double value : values) {
    if (!std::isfinite(value)) continue;
    total += value;
    ++count;
  }
  return count > 0 ? total / count : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace

std::string sparkline(std::span<const double> values, std::size_t width) {
  const std::size_t count = std::min(values.size(), width);
  std::vector<double> heights;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t first = i * values.size() / count;
    heights.push_back(mean_of(values.subspan(first, (i + 1) * values.size() / count - first)));
  }
  // No comparison with a NaN is true.
  if (std::none_of(heights.begin(), heights.end(), [](double height) { return height <= 0; })) {
    for (double& height : heights) height = std::log(height);
  }
  double low = std::numeric_limits<double>::infinity(), high = -low;
  for (const double height : heights) {
    if (!std::isfinite(height)) continue;
    low = std::min(low, height);
    high = std::max(high, height);
  }
  std::string line;
  for (const double height : heights) {
    if (!std::isfinite(height)) {
      line += ' ';
      continue;
    }
    const double share = high > low ? (height - low) / (high - low) : 0;
    line += kBlocks[static_cast<std::size_t>(std::lround(share * (kBlocks.size() - 1)))];
  }
  return line;
}

}  // namespace tarn::train
