// The report's page in a browser, at the widths of phones, of a screen and of paper.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <string>
#include <vector>

#include "core/check.h"
#include "core/io/file.h"
#include "tests/support/png_reader.h"
#include "tests/support/program.h"
#include "tests/support/temp_dir.h"
#include "tests/support/text_file.h"
#include "tests/train/reproduce/example_results.h"
#include "tests/train/reproduce/gnuplot.h"
#include "train/reproduce/report.h"

namespace tarn::train::reproduce {
namespace {

using Colour = std::array<std::uint8_t, 3>;

bool has_programs() {
  if (!test::has_gnuplot()) return false;
  if (test::run_script("command -v chromium").code == 0) return true;
  MESSAGE("skipped: no chromium");
  return false;
}

class Browser {
 public:
  // What it prints for these arguments and the file, with a profile of its own.
  std::string run(std::vector<std::string> arguments, const std::filesystem::path& file) const {
    arguments.insert(arguments.begin(),
                     {"chromium", "--headless", "--no-sandbox", "--disable-gpu",
                      "--hide-scrollbars", "--user-data-dir=" + (profile_ / "profile").string()});
    arguments.push_back("file://" + file.string());
    const test::Outcome outcome = test::Program::of_command(arguments).wait();
    INFO(outcome.err);
    CHECK(outcome.code == 0);
    return outcome.out;
  }

  // How wide the page is in a window of this width, which is a frame: the browser's own windows
  // have at least 500 pixels.
  int width_of(const std::string& page, int window) const {
    const test::TempDir folder;
    const std::string tell =
        "<script>parent.postMessage(document.documentElement.scrollWidth, '*')</script>";
    std::string copy = page;
    copy.insert(copy.find("</body>"), tell);
    test::write_text(folder / "page.html", copy);
    test::write_text(
        folder / "frame.html",
        message("<body><script>onmessage = e => document.body.append('width=' + e.data + ';')"
                "</script><iframe src='page.html' width='",
                window, "' height='800' frameborder='0'></iframe></body>"));
    const std::string dom =
        run({"--virtual-time-budget=2000", "--dump-dom"}, folder / "frame.html");
    const std::size_t at = dom.find("width=", dom.find("</iframe>"));
    REQUIRE(at != std::string::npos);
    return std::stoi(dom.substr(at + 6));
  }

  data::Picture screenshot(const std::filesystem::path& page) const {
    const test::TempDir folder;
    run({"--window-size=1280,3000", "--screenshot=" + (folder / "page.png").string()}, page);
    return test::read_png(read_file(folder / "page.png"));
  }

 private:
  test::TempDir profile_;
};

std::size_t pixels_of(const data::Picture& picture, const Colour& colour) {
  std::size_t count = 0;
  for (std::size_t i = 0; i + 3 <= picture.values.size(); i += 3) {
    count += std::equal(colour.begin(), colour.end(),
                        picture.values.begin() + static_cast<std::ptrdiff_t>(i))
                 ? 1
                 : 0;
  }
  return count;
}

TEST_CASE("report: the page in a browser is neither empty nor wider than a phone [slow]") {
  if (!has_programs()) return;
  const test::TempDir folder;
  const Browser browser;
  test::write_example_pictures(folder.path());
  for (const Results& results : {test::example_results(), test::odd_results()}) {
    write_report(results, folder.path());
    const std::filesystem::path file = folder / "report/index.html";
    const std::string page = read_file(file);
    for (const int window : {320, 390, 768}) {
      CAPTURE(window);
      CHECK(browser.width_of(page, window) == window);
    }
    // An XML parser says so in the page if it cannot read it.
    test::write_text(folder / "page.xhtml", page);
    CHECK(browser.run({"--dump-dom"}, folder / "page.xhtml").find("parsererror") ==
          std::string::npos);
  }
  write_report(test::example_results(), folder.path());
  const data::Picture picture = browser.screenshot(folder / "report/index.html");
  CHECK(picture.shape.width == 1280);
  const std::size_t all = picture.values.size() / 3;
  CHECK(pixels_of(picture, {255, 255, 255}) > all / 2);
  CHECK(pixels_of(picture, {255, 255, 255}) < all - all / 50);
  for (const Colour& curve : {Colour{0, 114, 178}, Colour{213, 94, 0}, Colour{0, 158, 115}}) {
    CHECK(pixels_of(picture, curve) > 300);
  }
  CHECK(pixels_of(picture, {0, 107, 76}) > 100);  // "hold"
  CHECK(pixels_of(picture, {173, 60, 0}) > 50);   // "does not hold"
  browser.run({"--print-to-pdf=" + (folder / "page.pdf").string()}, folder / "report/index.html");
  CHECK(read_file(folder / "page.pdf").starts_with("%PDF-"));
}

// The tests above would notice: a page that is too wide is measured so.
TEST_CASE("report: a page wider than its window is noticed [slow]") {
  if (!has_programs()) return;
  CHECK(Browser().width_of("<!DOCTYPE html><html><body><p style='width:600px'>x</p></body></html>",
                           390) > 590);
}

}  // namespace
}  // namespace tarn::train::reproduce
