// Standard input, output and error that are closed, full, or whose reader went away.
#include "tests/train/tiny_run.h"

namespace tarn::test {
namespace {

namespace fs = std::filesystem;

// Every sub-command that prints results, on a run in $RUN.
const char* const kPrinting[] = {"--help",
                                 "--version",
                                 "train --help",
                                 "info",
                                 "info $RUN",
                                 "info $RUN --json",
                                 "runs $RUN",
                                 "runs $RUN $RUN",
                                 "config",
                                 "config --markdown",
                                 "eval $RUN",
                                 "eval $RUN --json",
                                 "completion bash",
                                 "man",
                                 "bench",
                                 "train $CONFIG --dry-run",
                                 "bench gemm --rows 8",
                                 "data $IMAGES",
                                 "generate $MODEL --count 1 --out $(mktemp -d)"};

class Results {
 public:
  Results() {
    run_ok(runs_.train("run", {"train.steps=2"}));
    run_ok({"data", runs_ / "images", "--draw-images", "12", "--shape", "4x4"});
    run_ok({"train", runs_.config(), "--out", runs_ / "model", "--set", "task.kind=images", "--set",
            "task.sequence_length=15", "--set", "train.steps=0", "--set",
            "task.data=" + (runs_ / "images").string()});
  }

  Outcome run(const std::string& script) const {
    return run_script(script, {{"RUN", runs_ / "run"},
                               {"CONFIG", runs_.config()},
                               {"MODEL", runs_ / "model"},
                               {"IMAGES", runs_ / "images"}});
  }
  const TinyRuns& runs() const { return runs_; }

 private:
  TinyRuns runs_;
};

TEST_CASE("output: results that cannot be written end with an error") {
  const Results results;
  for (const char* command : kPrinting) {
    CAPTURE(command);
    const Outcome whole = results.run("\"$TARN\" " + std::string(command));
    INFO(whole.err);
    REQUIRE(whole.code == 0);
    const Outcome full = results.run("\"$TARN\" " + std::string(command) + " > /dev/full");
    CHECK(full.code == 1);
    CHECK(contains(full.err, "cannot write standard output"));
    const Outcome closed = results.run("\"$TARN\" " + std::string(command) + " >&-");
    CHECK(closed.code == 1);
    CHECK(contains(closed.err, "cannot write standard output"));
  }
}

TEST_CASE("output: a reader that went away is no error worth a message") {
  const Results results;
  for (const char* command : kPrinting) {
    CAPTURE(command);
    const Outcome outcome = results.run("\"$TARN\" " + std::string(command) +
                                        " 2>\"$RUN/err\" | true; cat \"$RUN/err\"");
    CHECK_FALSE(contains(outcome.out, "standard output"));
    CHECK_FALSE(contains(outcome.out, "Broken pipe"));
  }
  const Outcome head = results.run("set -o pipefail; \"$TARN\" config --markdown | head -n 1");
  CHECK(head.code == 0);
}

// A service manager may start a program with any of them closed.
TEST_CASE("output: closed descriptors are never a file of the run") {
  const TinyRuns runs;
  run_ok(runs.train("whole"));
  for (const char* closing : {"<&- >&- 2>&-", "2>&-", ">&-", "<&-", ">&- 2>&-", "<&- 2>&-"}) {
    CAPTURE(closing);
    std::string script = "\"$TARN\"";
    for (const std::string& word : runs.train("closed")) script += " '" + word + "'";
    CHECK(run_script(script + " " + closing).code == 0);
    CHECK(run_difference(runs / "whole", runs / "closed") == "");
    for (const char* log : {"metrics.jsonl", "timing.jsonl"}) {
      const std::string text = read_file(runs / "closed" / log);
      CHECK(text.front() == '{');
      CHECK_FALSE(contains(text, "step "));
      CHECK_FALSE(contains(text, "tarn"));
    }
    fs::remove_all(runs / "closed");
  }
}

TEST_CASE("output: a file that cannot be made is refused before the work") {
  const Results results;
  const TinyRuns& runs = results.runs();
  const std::string none = runs / "none" / "file.json";
  for (const std::string& file : {none, (runs / "run").string()}) {
    CAPTURE(file);
    check_refused(
        {"generate", runs / "model", "--count", "1", "--out", runs / "out", "--json", file},
        {"cannot write " + file});
    CHECK_FALSE(fs::exists(runs / "out"));
    check_refused({"bench", "gemm", "--rows", "8", "--json", file}, {"cannot write " + file});
    check_refused({"trace", runs.config(), "--weights", "w", "--batch", "b", "--out", file},
                  {"cannot write " + file});
  }
  run_ok({"generate", runs / "model", "--count", "1", "--out", runs / "out", "--json",
          runs / "out" / "figures.json"});
  CHECK(fs::exists(runs / "out" / "figures.json"));
}

}  // namespace
}  // namespace tarn::test
