// A curve in a line of text.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace tarn::train {

// The values from the first to the last as blocks of eight heights; where there are more than
// `width`, each block is the mean of its share of them. The heights are those of the logarithm
// where all values are above 0, so that what follows a steep beginning is seen. A value that is not
// finite leaves a space.
std::string sparkline(std::span<const double> values, std::size_t width);

}  // namespace tarn::train
