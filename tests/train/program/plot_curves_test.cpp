// tools/plot_curves: what it takes for a run, the pictures that it writes, and what its axis holds.
#include "tests/support/paths.h"
#include "tests/train/tiny_run.h"

namespace tarn::test {
namespace {

namespace fs = std::filesystem;

Outcome plot(const std::vector<std::string>& arguments) {
  std::vector<std::string> command{source_dir() / "tools/plot_curves"};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return Program::of_command(command).wait();
}

bool gnuplot_is_missing() {
  if (run_script("command -v gnuplot >/dev/null").code == 0) return false;
  MESSAGE("skipped: there is no gnuplot");
  return true;
}

void check_plot_refused(const std::vector<std::string>& arguments, const std::string& part) {
  const Outcome outcome = plot(arguments);
  CAPTURE(part);
  INFO(outcome.err);
  CHECK(outcome.code == 2);
  CHECK(contains(outcome.err, part));
  CHECK_FALSE(fs::exists(arguments[0]));
}

// A log of a loss that falls from 1000 to 0.5, with an evaluation of 0.4 at the end, and half a
// line after it.
std::string falling_loss() {
  std::string text;
  for (int step = 1; step <= 200; ++step) {
    const double loss = step < 5 ? 1000 : 1.0 - 0.0025 * step;
    text += "{\"step\":" + std::to_string(step) + ",\"loss\":" + std::to_string(loss) + "}\n";
  }
  return text + "{\"step\":200,\"evaluation\":{\"loss\":0.4}}\n{\"step\":201,\"loss\":77";
}

TEST_CASE("plot_curves: folders and files of runs, as SVG and as PNG") {
  if (gnuplot_is_missing()) return;
  const TinyRuns runs;
  run_ok(runs.train("a=b", {"train.steps=20"}));
  const std::string run = runs / "a=b", svg = runs / "x.svg", png = runs / "x.png";
  const Outcome drawn = plot({svg, "loss", run, "other=" + run, run + "/metrics.jsonl"});
  INFO(drawn.err);
  CHECK(drawn.code == 0);
  const std::string picture = read_file(svg);
  CHECK(contains(picture, "<svg"));
  CHECK(contains(picture, ">a=b<"));
  CHECK(contains(picture, ">other<"));
  CHECK(plot({png, "accuracy", run + "/"}).code == 0);
  CHECK(read_file(png).starts_with("\x89PNG"));
}

TEST_CASE("plot_curves: the first losses do not press the rest into a flat line") {
  if (gnuplot_is_missing()) return;
  const TinyRuns runs;
  write_text(runs / "log.jsonl", falling_loss());
  const Outcome drawn = plot({runs / "x.svg", "loss", runs / "log.jsonl"});
  INFO(drawn.err);
  REQUIRE(drawn.code == 0);
  const std::string picture = read_file(runs / "x.svg");
  for (const char* shown : {" 0.4<", " 0.9<"}) CHECK(contains(picture, shown));
  for (const char* outside : {" 10<", " 77<", " 500<", " 1000<"}) {
    CHECK_FALSE(contains(picture, outside));
  }
}

TEST_CASE("plot_curves: what is neither a run nor a log, and other mistakes") {
  if (gnuplot_is_missing()) return;
  const TinyRuns runs;
  run_ok(runs.train("run", {"train.steps=20"}));
  fs::create_directory(runs / "foreign");
  const std::string svg = runs / "x.svg", run = runs / "run";
  check_plot_refused({svg, "loss"}, "usage: ");
  check_plot_refused({runs / "x.pdf", "loss", run}, "neither with .svg nor with .png");
  check_plot_refused({svg, "loss", runs / "none"}, "there is no ");
  check_plot_refused({svg, "loss", "x=" + (runs / "none").string()}, "there is no ");
  check_plot_refused({svg, "loss", runs / "foreign"}, "is no run's folder");
  check_plot_refused({svg, "loss", runs.config()}, "no line of it has a step");
  check_plot_refused({svg, "perplexity", run}, "holds perplexity");
  check_plot_refused({svg, "lo'ss", run}, "is not the name of a metric");
}

}  // namespace
}  // namespace tarn::test
