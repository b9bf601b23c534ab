// The two formats of the report. Both take results whose texts are UTF-8.
#pragma once

#include <filesystem>
#include <string>

#include "train/reproduce/results.h"

namespace tarn::train::reproduce {

// One page that needs no other file and no network: charts and pictures are in it. It is HTML that
// an XML parser can read, too. Pictures are read from the folder of the reproduction.
std::string to_html(const Results& results, const std::filesystem::path& folder);

// GitHub's Markdown, with links to pictures as seen from report/. What differs from run to run in
// any case, times and machines, stands in sections of its own at the end.
std::string to_markdown(const Results& results);

}  // namespace tarn::train::reproduce
