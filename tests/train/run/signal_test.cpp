// SIGINT and SIGTERM: the first ends the run after the step, saved; the second ends it at once.
#include <csignal>

#include "core/check.h"
#include "tests/train/tiny_run.h"

namespace tarn::test {
namespace {

namespace fs = std::filesystem;

// Long enough to be met while it runs, however fast the machine; resumed with fewer steps.
const Arguments kEndless = {"train.steps=1000000000", "train.eval_every=1000",
                            "train.checkpoint_every=1000", "train.log_every=1"};

// Signals once the run is under way; returns how it ended.
Outcome interrupt(const Arguments& arguments, const fs::path& run, int signal) {
  Program program(arguments);
  REQUIRE(wait_until([&] { return log_of(run).size() > 2000; }));
  program.send(signal);
  return program.wait();
}

std::int64_t step_of(const fs::path& run) {
  const std::string name = latest_checkpoint(run).filename().string();
  return std::stoll(name.substr(name.find('_') + 1));
}

TEST_CASE("signals: SIGINT and SIGTERM finish the step, save and exit with 128 and their number") {
  for (const int signal : {SIGINT, SIGTERM}) {
    CAPTURE(signal);
    const TinyRuns runs;
    const Outcome outcome = interrupt(runs.train("run", kEndless), runs / "run", signal);
    INFO(outcome.err);
    CHECK(outcome.signal == 0);
    CHECK(outcome.code == 128 + signal);
    const std::int64_t stopped = step_of(runs / "run");
    CHECK(stopped > 0);
    CHECK(stopped % 1000 != 0);  // not a checkpoint that was due anyway
    CHECK(contains(outcome.err, message("stopped by signal ", signal, " after step ", stopped)));

    Arguments settings = kEndless;
    settings.push_back(message("train.steps=", stopped + 50));
    run_ok(runs.resume("run", settings));
    run_ok(runs.train("whole", settings));
    CHECK(run_difference(runs / "whole", runs / "run") == "");
  }
}

TEST_CASE("signals: a run that a signal meets again and again still ends in the same bytes") {
  const TinyRuns runs;
  for (int i = 0; i < 3; ++i) {
    const auto before = log_of(runs / "run").size();
    Program program(runs.go_on("run", kEndless));
    REQUIRE(wait_until([&] { return log_of(runs / "run").size() > before + 500; }));
    program.send(i % 2 == 0 ? SIGTERM : SIGINT);
    CHECK(program.wait().code > 128);
  }
  Arguments settings = kEndless;
  settings.push_back(message("train.steps=", step_of(runs / "run")));
  run_ok(runs.train("whole", settings));
  const auto whole = latest_checkpoint(runs / "whole"), run = latest_checkpoint(runs / "run");
  CHECK(difference(whole / "model.safetensors", run / "model.safetensors") == "");
  CHECK(difference(whole / "optimizer.safetensors", run / "optimizer.safetensors") == "");
}

// An evaluation that never ends keeps the run from seeing the first signal.
TEST_CASE("signals: a second one ends the run at once and leaves what was saved") {
  for (const int second : {SIGINT, SIGTERM}) {
    const TinyRuns runs;
    const Arguments settings = {"train.eval_every=2", "train.checkpoint_every=1",
                                "train.log_every=1", "train.eval_batches=1000000000"};
    Program program(runs.train("run", settings));
    REQUIRE(wait_until([&] { return contains(log_of(runs / "run"), "\"step\":2"); }));
    program.send(SIGINT);
    CHECK_FALSE(program.wait_for("stopped by signal", 0.2));
    const auto before = snapshot(runs / "run");
    program.send(second);
    const Outcome outcome = program.wait(20);
    CHECK(outcome.signal == second);
    CHECK(snapshot(runs / "run") == before);
    CHECK(run_program({"info", runs / "run"}).code == 0);
    CHECK(step_of(runs / "run") == 1);
  }
}

}  // namespace
}  // namespace tarn::test
