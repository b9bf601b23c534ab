// Columns of text for a terminal.
#pragma once

#include <string>
#include <vector>

namespace tarn::train {

// The rows, a line each, their cells padded to the widest of the column and two spaces apart. The
// last cell of a row stands as it is, and widens no column: it may be a sentence. Widths count
// characters of UTF-8.
std::string text_table(const std::vector<std::vector<std::string>>& rows);

}  // namespace tarn::train
