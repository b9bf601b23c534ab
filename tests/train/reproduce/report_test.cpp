#include "train/reproduce/report.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/check.h"
#include "core/io/file.h"
#include "tests/support/program.h"
#include "tests/support/temp_dir.h"
#include "tests/support/text_file.h"
#include "tests/train/reproduce/example_results.h"
#include "tests/train/reproduce/gnuplot.h"
#include "train/reproduce/report_content.h"

namespace tarn::train::reproduce {
namespace {

struct Report {
  std::string json, markdown, page;
};

Report report_of(const Results& results, const std::filesystem::path& folder) {
  test::write_example_pictures(folder);
  write_report(results, folder);
  const std::filesystem::path report = folder / "report";
  return {read_file(report / "results.json"), read_file(report / "results.md"),
          read_file(report / "index.html")};
}

std::size_t count_of(std::string_view text, std::string_view part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string_view::npos;
       at = text.find(part, at + 1)) {
    ++count;
  }
  return count;
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// The texts between the tags, with the entities that the page uses read; empty if a tag is not
// closed or closes another.
std::string text_of_page(const std::string& page) {
  std::vector<std::string> open;
  std::string text;
  std::size_t at = page.find("<html");
  while (at < page.size()) {
    if (page[at] != '<') {
      const std::size_t end = std::min(page.find('<', at), page.size());
      text += page.substr(at, end - at);
      at = end;
      continue;
    }
    const std::size_t end = page.find('>', at);
    if (end == std::string::npos) return "";
    const std::string tag = page.substr(at + 1, end - at - 1);
    const bool closes = tag.starts_with('/');
    std::string name = tag.substr(closes ? 1 : 0);
    name = name.substr(0, name.find_first_of(" \n/"));
    if (closes) {
      if (open.empty() || open.back() != name) return "";
      open.pop_back();
    } else if (!tag.ends_with('/')) {
      open.push_back(name);
    }
    at = end + 1;
  }
  if (!open.empty()) return "";
  using Pair = std::pair<const char*, const char*>;
  for (const auto& [entity, character] :
       {Pair{"&lt;", "<"}, Pair{"&gt;", ">"}, Pair{"&quot;", "\""}, Pair{"&amp;", "&"}}) {
    for (std::size_t found = 0; (found = text.find(entity, found)) != std::string::npos; ++found) {
      text.replace(found, std::string_view(entity).size(), character);
    }
  }
  return text;
}

// What would make a browser ask for another file, or run a script.
void check_is_alone(const std::string& page) {
  for (const char* reference :
       {"http", "src=\"/", "src=\"..", "url(", "@import", "<link", "<script", "<iframe", "<object",
        "<button", " onload", "javascript:"}) {
    CAPTURE(reference);
    CHECK(!contains(page, reference));
  }
  CHECK(count_of(page, "src=\"") == count_of(page, "src=\"data:image/"));
  CHECK(count_of(page, "href=\"") == count_of(page, "href=\"#"));
  CHECK(count_of(page, "href='") == count_of(page, "href='#"));
}

TEST_CASE("report: the page shows every experiment, row, claim, chart and picture") {
  if (!test::has_gnuplot()) return;
  const test::TempDir folder;
  const Results results = test::example_results();
  const Report report = report_of(results, folder.path());
  CHECK(report.json == to_json(results));
  check_is_alone(report.page);
  const std::string text = text_of_page(report.page);
  REQUIRE(!text.empty());
  for (const ExperimentResult& experiment : results.experiments) {
    CAPTURE(experiment.name);
    for (const std::string& part : {experiment.title, experiment.place, experiment.about}) {
      CHECK(contains(text, part));
    }
    CHECK(contains(report.page, "<section id=\"" + experiment.name + "\">"));
    CHECK(contains(report.page, "<a href=\"#" + experiment.name + "\">"));
    for (const RowResult& row : experiment.rows) CHECK(contains(text, row.title));
    for (const ChartResult& chart : experiment.charts) CHECK(contains(text, chart.title));
    for (const ClaimResult& claim : experiment.claims) {
      CHECK(contains(text, text_of(claim.verdict) + ": " + claim.text));
      CHECK(contains(text, claim.check));
      CHECK(contains(text, claim.missing));
    }
    for (const PictureResult& picture : experiment.pictures) {
      CHECK(contains(text, picture.caption));
      CHECK(contains(text, picture.missing));
    }
  }
  CHECK(contains(text, "where loss.linear = 0.00035, loss.softmax = 0.00031"));
  CHECK(contains(text, "Missing: the data is not here: WSJ is sold"));
  CHECK(contains(text, "¹ runs at the scale \"paper\" only"));
  CHECK(contains(text, "9f86d08188"));
  CHECK(contains(text, "AMD EPYC 9R14"));
  for (const char* count : {"<b>5</b> hold", "<b>1</b> does not hold",
                            "<b>1</b> not tested at this scale", "<b>1</b> not tested<"}) {
    CAPTURE(count);
    CHECK(contains(report.page, count));
  }
  for (const char* cell :
       {"<td class=\"paper group-start\">0.621</td><td class=\"tarn\">0.982 ± 0.004</td>",
        "<td class=\"paper group-start\">0.45</td><td class=\"tarn\">0.021</td>",
        "<td class=\"tarn none\">–</td>", "<td class=\"tarn none\">no result¹</td>",
        "<td class=\"tarn group-start\">1.94</td>"}) {
    CAPTURE(cell);
    CHECK(contains(report.page, cell));
  }
  CHECK(count_of(report.page, "<svg") == 4);
  CHECK(contains(text, "no curve to draw"));  // of table 3
  CHECK(count_of(report.page, "src=\"data:image/png;base64,iVBORw0KGgo") == 1);
  CHECK(count_of(report.page, "src=\"data:image/svg+xml;base64,") == 1);
}

TEST_CASE("report: odd texts and missing parts stand in it as they are, and break nothing") {
  if (!test::has_gnuplot()) return;
  const test::TempDir folder;
  const Results results = test::odd_results();
  const Report report = report_of(results, folder.path());
  check_is_alone(report.page);
  const std::string text = text_of_page(report.page);
  REQUIRE(!text.empty());
  const std::string odd = results.scale;
  CHECK(count_of(text, odd) > 15);
  CHECK(contains(text, "not finite"));
  CHECK(contains(text, "-1234567 ± 0"));
  CHECK(contains(text, "mean ± standard deviation of 7 seeds"));
  CHECK(contains(text, "no picture: no such file.png cannot be read"));
  CHECK(count_of(report.page, "<svg") == 2);
  CHECK(count_of(text, "no curve to draw") == 2);
  CHECK(contains(report.page, "<section id=\"experiment-1\">"));
  CHECK(contains(report.page, "<section id=\"experiment-3\">"));
}

TEST_CASE("report: the pictures in the page are the files, to the last byte") {
  if (!test::has_gnuplot()) return;
  const test::TempDir folder;
  const std::string page = report_of(test::example_results(), folder.path()).page;
  for (const auto& [kind, file] : std::vector<std::pair<std::string, std::string>>{
           {"png", "samples.png"}, {"svg+xml", "completions.svg"}}) {
    const std::string begin = message("src=\"data:image/", kind, ";base64,");
    const std::size_t at = page.find(begin) + begin.size();
    test::write_text(folder / "picture.txt", page.substr(at, page.find('"', at) - at));
    const test::Outcome decoded =
        test::run_script(message("base64 -d '", (folder / "picture.txt").string(), "'"));
    CHECK(decoded.code == 0);
    CHECK(decoded.out == read_file(folder / "pictures" / file));
  }
}

TEST_CASE("report: as many digits as say something") {
  struct Case {
    double value;
    int digits;
    const char* text;
  };
  for (const Case& one : std::vector<Case>{{0.6214, 3, "0.621"},
                                           {2.37431, 4, "2.3743"},
                                           {1198.9103, 4, "1198.9"},
                                           {288.9965, 4, "289.00"},
                                           {0.00412, 2, "0.0041"},
                                           {0.00031, 5, "0.00031"},
                                           {8651.4, 2, "8651.4"},
                                           {824, 0, "824"},
                                           {3, 0, "3"},
                                           {0, 2, "0.00"},
                                           {-1234567.8, 2, "-1234568"},
                                           {1e12, 1, "1e+12"},
                                           {3e-14, 3, "3e-14"},
                                           {-0.5, 1, "-0.50"},
                                           {1.5, -3, "2"}}) {
    CHECK(text_of({one.value, 0, 1}, one.digits) == one.text);
  }
  CHECK(text_of({288.9965, 0.31, 3}, 4) == "289.00 ± 0.31");
}

TEST_CASE("report: ids are given once") {
  if (!test::has_gnuplot()) return;
  const test::TempDir folder;
  const std::string page = report_of(test::example_results(), folder.path()).page;
  std::vector<std::string> ids;
  for (const char* begin : {" id=\"", " id='"}) {
    for (std::size_t at = page.find(begin); at != std::string::npos;
         at = page.find(begin, at + 1)) {
      const std::size_t from = at + std::string_view(begin).size();
      ids.push_back(page.substr(from, page.find_first_of("\"'", from) - from));
    }
  }
  std::sort(ids.begin(), ids.end());
  CHECK(ids.size() > 50);
  CHECK(std::adjacent_find(ids.begin(), ids.end()) == ids.end());
  for (std::size_t at = page.find("href="); at != std::string::npos;
       at = page.find("href=", at + 1)) {
    const std::size_t from = at + std::string_view("href='#").size();
    const std::string id = page.substr(from, page.find_first_of("\"'", from) - from);
    CAPTURE(id);
    CHECK(std::binary_search(ids.begin(), ids.end(), id));
  }
}

TEST_CASE("report: Markdown's tables have as many cells in every line, whatever the texts") {
  if (!test::has_gnuplot()) return;
  const test::TempDir folder;
  for (const Results& results : {test::example_results(), test::odd_results()}) {
    const std::string markdown = report_of(results, folder.path()).markdown;
    std::size_t cells = 0, lines = 0;
    for (std::size_t at = 0; at < markdown.size();) {
      const std::size_t end = markdown.find('\n', at);
      const std::string line = markdown.substr(at, end - at);
      at = end + 1;
      if (!line.starts_with('|')) {
        cells = 0;
        continue;
      }
      std::size_t bars = 0;
      for (std::size_t i = 0; i < line.size(); ++i) {
        bars += line[i] == '|' && (i == 0 || line[i - 1] != '\\') ? 1 : 0;
      }
      if (cells == 0) cells = bars;
      CAPTURE(line);
      CHECK(bars == cells);
      ++lines;
    }
    CHECK(lines > 5);
  }
}

TEST_CASE("report: Markdown's table of an experiment, word for word") {
  if (!test::has_gnuplot()) return;
  const test::TempDir folder;
  const std::string markdown = report_of(test::example_results(), folder.path()).markdown;
  CHECK(contains(markdown,
                 "| | Phoneme error rate (%): paper | tarn | Seconds per epoch: paper | tarn |\n"
                 "| --- | ---: | ---: | ---: | ---: |\n"
                 "| Bi-LSTM | 10.94 | no result¹ | 1047 | no result¹ |\n"));
  CHECK(contains(markdown,
                 "- **does not hold**: linear attention ends at softmax's loss (Section 4.1.1)  \n"
                 "  `loss.linear <= 1.05 * loss.softmax` where loss.linear = 0.00035, "
                 "loss.softmax = 0.00031\n"));
  CHECK(contains(markdown,
                 "Peak memory per sample, MB:\n\n"
                 "| length | Softmax | LSH, 1 round | LSH, 4 rounds | Linear |\n"
                 "| ---: | ---: | ---: | ---: | ---: |\n"
                 "| 512 | 2.20 | 3.10 | 8.90 | 1.90 |\n"));
  CHECK(contains(markdown, "| 65536 | | | | 243.20 |\n"));
  CHECK(!contains(markdown, "Training loss, mean of the seeds"));  // too many points
  CHECK(contains(markdown, "![Images by the linear model](<../pictures/samples.png>)"));
}

TEST_CASE("report: times alone differ between two reports of the same results") {
  if (!test::has_gnuplot()) return;
  const test::TempDir folder;
  Results results = test::example_results();
  const std::string first = report_of(results, folder.path()).markdown;
  CHECK(report_of(results, folder.path()).markdown == first);
  for (ExperimentResult& experiment : results.experiments) {
    experiment.seconds *= 3;
    for (RowResult& row : experiment.rows) row.seconds *= 2;
  }
  const std::string second = report_of(results, folder.path()).markdown;
  CHECK(second != first);
  CHECK(second.substr(0, second.find("## Times")) == first.substr(0, first.find("## Times")));
}

TEST_CASE("report: without gnuplot the error says what to install, and nothing is written") {
  const test::TempDir folder;
  const std::string path = std::getenv("PATH");
  setenv("PATH", folder.path().c_str(), 1);
  std::string text;
  try {
    write_report(test::example_results(), folder / "out");
  } catch (const UserError& error) {
    text = error.what();
  }
  setenv("PATH", path.c_str(), 1);
  CHECK(contains(text, "cannot run gnuplot: No such file or directory"));
  CHECK(contains(text, "apt-get install gnuplot-nox"));
  CHECK(!std::filesystem::exists(folder / "out"));
}

}  // namespace
}  // namespace tarn::train::reproduce
