#include "train/reproduce/report.h"

#include <string>

#include "core/io/file.h"
#include "train/reproduce/report_formats.h"

namespace tarn::train::reproduce {

void write_report(const Results& results, const std::filesystem::path& folder) {
  const std::filesystem::path report = folder / "report";
  const std::string text = to_json(results);
  // The page shows what the file holds: writing the file makes sure that all texts are UTF-8.
  const Results written = results_from_json(text, (report / "results.json").string());
  const std::string page = to_html(written, folder);
  make_directories(report);
  write_file_atomically(report / "results.json", text);
  write_file_atomically(report / "results.md", to_markdown(written));
  write_file_atomically(report / "index.html", page);
}

}  // namespace tarn::train::reproduce
