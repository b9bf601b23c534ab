// `tarn reproduce` on a small experiment, by the program itself.
#include <doctest/doctest.h>

#include <csignal>
#include <filesystem>
#include <string>

#include "core/io/file.h"
#include "core/io/json.h"
#include "tests/support/program.h"
#include "tests/support/text_file.h"
#include "tests/train/reproduce/gnuplot.h"
#include "tests/train/tiny_run.h"
#include "train/reproduce/results.h"

namespace tarn::test {
namespace {

namespace fs = std::filesystem;
using train::reproduce::ClaimResult;
using train::reproduce::Results;
using train::reproduce::RowResult;
using train::reproduce::Verdict;

// Two models of the copy task, of which the second does not learn; two kinds of attention, of which
// the second takes many times as long; and one whose data is nowhere.
constexpr const char* kExperiment = R"toml(title = "Tiny"
place = "nowhere"
about = "A test."

[data]
corpus = "from the tests' own shelf"

[[rows]]
name = "good"
title = "good"
words = { kind = "causal-linear" }
training.smoke = { config = "../../config.toml", set = ["train.steps=120", "optimizer.lr=0.01"] }

[[rows]]
name = "bad"
title = "bad"
words = { kind = "lsh-8" }
training.smoke = { config = "../../config.toml", set = ["train.steps=120", "optimizer.lr=1e-30"] }

[[rows]]
name = "absent"
title = "absent"
words = { kind = "none" }
training.smoke = { config = "../../config.toml", data = "corpus" }

[[columns]]
name = "loss"
title = "loss"
log = "loss"

[[columns]]
name = "accuracy"
title = "accuracy"
command = ["tarn", "eval", "{run}", "--json"]
value = "accuracy"

[[columns]]
name = "ratio"
title = "ratio"
formula = "loss.{row} / loss.good"

[[charts]]
name = "time"
title = "time"
x_title = "length"
y_title = "ms"
command = ["tarn", "bench", "attention", "--kinds", "causal-linear,lsh-8", "--lengths", "64", "--positions", "64", "--head-dim", "8", "--heads", "2", "--json", "{json}"]
where = { kind = "{kind}" }
rows = ["good", "bad"]
x = "n"
value = "ms"
per = "batch"
combine = "sum"

[[claims]]
text = "the good one learns more"
place = "here"
check = "loss.good < loss.bad and accuracy.good > 0"

[[claims]]
text = "the bad one learns more"
place = "here"
check = "loss.bad < loss.good"

[[claims]]
text = "the slow one is the faster"
place = "here"
check = "last(time.bad) < last(time.good)"

[[claims]]
text = "the absent one learns"
place = "here"
check = "loss.absent < loss.good"

[[claims]]
text = "another scale"
place = "here"
check = "loss.bad < loss.good"
scales = ["paper"]
)toml";

class Reproduction {
 public:
  Reproduction() {
    fs::create_directories(runs_ / "experiments/tiny");
    describe(kExperiment);
  }

  void describe(const std::string& text) const {
    write_text(runs_ / "experiments/tiny/experiment.toml", text);
  }

  Arguments command(const std::string& out, const Arguments& more = {}) const {
    Arguments arguments{"reproduce", "--experiments", runs_ / "experiments", "--out",
                        runs_ / out, "--data",        runs_ / "data"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  Results results(const std::string& out) const {
    const fs::path file = runs_ / out / "report/results.json";
    return train::reproduce::results_from_json(read_file(file), file.string());
  }

  fs::path operator/(const std::string& name) const { return runs_ / name; }

 private:
  TinyRuns runs_;
};

const ClaimResult& claim(const Results& results, const std::string& text) {
  for (const ClaimResult& one : results.experiments.at(0).claims) {
    if (one.text == text) return one;
  }
  throw std::runtime_error("no claim: " + text);
}

const RowResult& row(const Results& results, const std::string& name) {
  for (const RowResult& one : results.experiments.at(0).rows) {
    if (one.name == name) return one;
  }
  throw std::runtime_error("no row: " + name);
}

// What does not depend on the clock.
std::string timeless(Results results) {
  for (auto& experiment : results.experiments) {
    experiment.seconds = 0;
    for (RowResult& one : experiment.rows) {
      one.seconds = 0;
      one.curves.erase("time");
    }
    for (ClaimResult& one : experiment.claims) {
      if (one.check.find("time.") != one.check.npos) one.numbers.clear();
    }
  }
  return to_json(results);
}

TEST_CASE("reproduce: a worse model, a slower kernel and a missing run get their verdicts") {
  if (!has_gnuplot()) return;
  const Reproduction tiny;
  const Outcome outcome = run_ok(tiny.command("out"));
  CHECK(contains(outcome.out, "does not hold: the bad one learns more (loss.bad "));
  CHECK(contains(outcome.out, "data/corpus is missing: from the tests' own shelf"));
  const Results results = tiny.results("out");
  CHECK(claim(results, "the good one learns more").verdict == Verdict::holds);
  CHECK(claim(results, "the bad one learns more").verdict == Verdict::does_not_hold);
  CHECK(claim(results, "the slow one is the faster").verdict == Verdict::does_not_hold);
  CHECK(claim(results, "the slow one is the faster").numbers.size() == 2);
  const ClaimResult& absent = claim(results, "the absent one learns");
  CHECK(absent.verdict == Verdict::not_tested);
  CHECK(contains(absent.missing, "data/corpus is missing"));
  CHECK(claim(results, "another scale").verdict == Verdict::not_at_this_scale);
  CHECK(row(results, "bad").values.at("ratio").mean ==
        row(results, "bad").values.at("loss").mean / row(results, "good").values.at("loss").mean);
  CHECK(row(results, "good").config_hash.size() == 64);
  CHECK(row(results, "good").seconds > 0);
  CHECK(run_program(tiny.command("out", {"--strict"})).code == 1);
  // Without what falls short, strictness has nothing to say.
  std::string text = kExperiment;
  text.erase(
      text.find("[[claims]]\ntext = \"the bad one"),
      text.find("[[claims]]\ntext = \"another") - text.find("[[claims]]\ntext = \"the bad one"));
  tiny.describe(text);
  CHECK(run_program(tiny.command("out", {"--strict"})).code == 0);
}

TEST_CASE("reproduce: killed again and again, it goes on to the same report") {
  if (!has_gnuplot()) return;
  const Reproduction tiny;
  run_ok(tiny.command("whole"));
  int killed = 0;
  for (const int step : {15, 60, 105}) {
    Program program(tiny.command("cut"));
    // In the middle of a training run, or later if the machine was faster than this test.
    const std::string expected = "\"step\":" + std::to_string(step);
    wait_until([&] {
      std::error_code absent;
      for (const auto& run : fs::directory_iterator(tiny / "cut/runs", absent)) {
        if (contains(log_of(run.path()), expected)) return true;
      }
      return false;
    });
    program.send(SIGKILL);
    killed += program.wait().signal == SIGKILL ? 1 : 0;
  }
  CHECK(killed > 0);
  run_ok(tiny.command("cut"));
  CHECK(timeless(tiny.results("whole")) == timeless(tiny.results("cut")));
}

TEST_CASE("reproduce: a signal stops it and its run, which is saved") {
  if (!has_gnuplot()) return;
  const Reproduction tiny;
  Program program(tiny.command("out"));
  REQUIRE(wait_until([&] { return fs::exists(tiny / "out/runs"); }));
  REQUIRE(program.wait_for("tiny-good"));
  program.send(SIGTERM);
  const Outcome outcome = program.wait();
  CHECK(outcome.code == 128 + SIGTERM);
  CHECK(contains(outcome.err, "stopped by SIGTERM (terminate); the same command goes on"));
  run_ok(tiny.command("out"));
}

TEST_CASE("reproduce: what is done is not done again, but for what was changed") {
  if (!has_gnuplot()) return;
  const Reproduction tiny;
  run_ok(tiny.command("out"));
  const auto before = snapshot(tiny / "out/runs");
  run_ok(tiny.command("out", {"--only", "good,bad"}));
  CHECK(snapshot(tiny / "out/runs") == before);
  std::string text = kExperiment;
  text.replace(text.find("optimizer.lr=0.01"), 17, "optimizer.lr=0.02");
  tiny.describe(text);
  run_ok(tiny.command("out"));
  const auto after = snapshot(tiny / "out/runs");
  CHECK(after.size() > before.size());
  for (const auto& file : before) {
    CHECK(std::find(after.begin(), after.end(), file) != after.end());
  }
}

TEST_CASE("reproduce: several seeds give a mean and a deviation") {
  if (!has_gnuplot()) return;
  const Reproduction tiny;
  run_ok(tiny.command("out", {"--seeds", "3", "--only", "good"}));
  const Results results = tiny.results("out");
  CHECK(results.experiments[0].rows.size() == 1);
  const auto& loss = row(results, "good").values.at("loss");
  CHECK(loss.count == 3);
  CHECK(loss.deviation > 0);
  CHECK(claim(results, "the good one learns more").verdict == Verdict::not_tested);
  CHECK(contains(claim(results, "the good one learns more").missing, "bad was left out"));
}

TEST_CASE("reproduce: mistakes are refused before anything is run") {
  if (!has_gnuplot()) return;
  const Reproduction tiny;
  check_refused(tiny.command("out", {"tniy"}), {"there is no experiment \"tniy\"", "tiny"});
  check_refused(tiny.command("out", {"--scale", "huge"}), {"--scale", "smoke, cpu, paper"});
  check_refused(tiny.command("out", {"--only", "godo"}), {"--only", "godo"});
  check_refused({"reproduce", "--experiments", tiny / "nowhere"}, {"there is no folder"});
  std::string text = kExperiment;
  text.replace(text.find("train.steps=120"), 15, "train.stesp=200");
  tiny.describe(text);
  check_refused(tiny.command("out"), {"train.stesp", "train.steps"});
  CHECK_FALSE(fs::exists(tiny / "out/runs"));
}

TEST_CASE("reproduce: a part that fails is named, and the others go on") {
  if (!has_gnuplot()) return;
  const Reproduction tiny;
  std::string text = kExperiment;
  text.replace(text.find("optimizer.lr=1e-30"), 18, "optimizer.lr=1e30");
  tiny.describe(text);
  const Outcome outcome = run_program(tiny.command("out"));
  CHECK(outcome.code == 1);
  const Results results = tiny.results("out");
  CHECK(contains(row(results, "bad").missing, "ended with exit code 1"));
  CHECK(row(results, "good").values.contains("loss"));
}

}  // namespace
}  // namespace tarn::test
