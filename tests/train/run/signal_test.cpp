// Signals: the first ends the run soon, saved so that it can go on; the second ends it at once.
#include <sys/resource.h>

#include <csignal>

#include "core/check.h"
#include "tests/support/disposition.h"
#include "tests/train/tiny_run.h"

namespace tarn::test {
namespace {

namespace fs = std::filesystem;

// Long enough to be met while it runs, however fast the machine; resumed with fewer steps.
const Arguments kEndless = {"train.steps=1000000000", "train.eval_every=1000",
                            "train.checkpoint_every=1000", "train.log_every=1"};

// Signals once the run is under way; returns how it ended.
Outcome interrupt(const Arguments& arguments, const fs::path& run, int signal) {
  const Disposition usual(signal, SIG_DFL);
  Program program(arguments);
  REQUIRE(wait_until([&] { return log_of(run).size() > 2000; }));
  program.send(signal);
  return program.wait();
}

std::int64_t step_of(const fs::path& run) {
  const std::string name = latest_checkpoint(run).filename().string();
  return std::stoll(name.substr(name.find('_') + 1));
}

TEST_CASE("signals: each finishes the step, saves and exits with 128 and its number") {
  const std::vector<std::pair<int, std::string>> names = {{SIGINT, "Ctrl-C"},
                                                          {SIGTERM, "SIGTERM (terminate)"},
                                                          {SIGHUP, "SIGHUP (terminal closed)"},
                                                          {SIGUSR1, "SIGUSR1 (warning)"},
                                                          {SIGUSR2, "SIGUSR2 (warning)"},
                                                          {SIGXCPU, "SIGXCPU"}};
  for (const auto& row : names) {
    const int signal = row.first;
    const std::string& name = row.second;
    CAPTURE(name);
    const TinyRuns runs;
    const Outcome outcome = interrupt(runs.train("run", kEndless), runs / "run", signal);
    INFO(outcome.err);
    CHECK(outcome.signal == 0);
    CHECK(outcome.code == 128 + signal);
    const std::int64_t stopped = step_of(runs / "run");
    CHECK(stopped > 0);
    CHECK(stopped % 1000 != 0);  // not a checkpoint that was due anyway
    CHECK(contains(outcome.err, "stopped by " + name));
    CHECK(contains(outcome.err, message(" after step ", stopped, ", which is saved")));

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

TEST_CASE("signals: a run under nohup does not notice that the terminal is closed") {
  const Disposition nohup(SIGHUP, SIG_IGN);
  const TinyRuns runs;
  Program program(runs.train("run", kEndless));
  REQUIRE(wait_until([&] { return !log_of(runs / "run").empty(); }));
  CHECK(program.handles(SIGTERM));
  CHECK_FALSE(program.handles(SIGHUP));
  program.send(SIGHUP);
  const auto before = log_of(runs / "run").size();
  CHECK(wait_until([&] { return log_of(runs / "run").size() > before + 500; }));
  program.send(SIGTERM);
  CHECK(program.wait().code == 128 + SIGTERM);
}

// All signals sent while the process stands still arrive at the same time.
void send_together(const Program& program, const std::vector<int>& signals) {
  program.send(SIGSTOP);
  for (const int signal : signals) program.send(signal);
}

TEST_CASE("signals: the second of SIGINT and SIGTERM ends the run at once") {
  const Disposition interrupt(SIGINT, SIG_DFL);
  const TinyRuns runs;
  Program program(runs.train("run", kEndless));
  REQUIRE(wait_until([&] { return !log_of(runs / "run").empty(); }));
  send_together(program, {SIGINT, SIGTERM});
  program.send(SIGCONT);
  const Outcome outcome = program.wait();
  CHECK((outcome.signal == SIGINT || outcome.signal == SIGTERM));
  CHECK_FALSE(contains(outcome.err, "stopped by"));
  CHECK(run_program({"info", runs / "run"}).code == 0);
  CHECK(step_of(runs / "run") % 1000 == 0);
}

TEST_CASE("signals: warnings before SIGTERM do not keep the run from saving") {
  const Disposition closed(SIGHUP, SIG_DFL);
  const TinyRuns runs;
  Program program(runs.train("run", kEndless));
  REQUIRE(wait_until([&] { return !log_of(runs / "run").empty(); }));
  send_together(program, {SIGHUP, SIGUSR1, SIGTERM});
  program.send(SIGCONT);
  const Outcome outcome = program.wait();
  CHECK(outcome.signal == 0);
  CHECK(outcome.code > 128);
  CHECK(contains(outcome.err, "which is saved"));
}

TEST_CASE("signals: an evaluation without end, and an update of a million batches, are left soon") {
  const std::vector<Arguments> endless = {
      {"train.eval_every=2", "train.log_every=1", "train.eval_batches=1000000"},
      {"train.accumulate=1000000"}};
  for (const Arguments& settings : endless) {
    CAPTURE(settings.back());
    const TinyRuns runs;
    Program program(runs.train("run", settings));
    REQUIRE(wait_until([&] { return program.handles(SIGTERM); }));
    if (settings.size() == 3) {
      REQUIRE(wait_until([&] { return contains(log_of(runs / "run"), "\"step\":2"); }));
    }
    program.send(SIGTERM);
    const Outcome outcome = program.wait(20);
    INFO(outcome.err);
    CHECK(outcome.code == 128 + SIGTERM);
    CHECK(step_of(runs / "run") == (settings.size() == 3 ? 2 : 0));
    CHECK(run_program({"info", runs / "run"}).code == 0);
  }
}

// Until the signal has met an evaluation, which a busy machine may miss.
bool interrupt_evaluation(const TinyRuns& runs, const Arguments& settings, std::int64_t step) {
  for (int attempt = 0; attempt < 10; ++attempt) {
    fs::remove_all(runs / "run");
    Program program(runs.train("run", settings));
    REQUIRE(wait_until(
        [&] { return contains(log_of(runs / "run"), message("\"step\":", step, ",")); }));
    program.send(SIGTERM);
    const Outcome outcome = program.wait();
    if (outcome.code == 0) continue;
    CHECK(outcome.code == 128 + SIGTERM);
    const std::string state = read_file(latest_checkpoint(runs / "run") / "state.json");
    if (step_of(runs / "run") == step && contains(state, "\"evaluation_due\": true")) return true;
  }
  return false;
}

TEST_CASE("signals: an interrupted evaluation is made again, and the run ends in the same bytes") {
  // At 10 the first evaluation, which is the best so far; at 20 the last one.
  const Arguments settings = {"train.steps=20", "train.eval_every=10", "train.eval_batches=1000",
                              "train.checkpoint_every=20", "train.log_every=1"};
  for (const std::int64_t step : {10, 20}) {
    CAPTURE(step);
    const TinyRuns runs;
    REQUIRE(interrupt_evaluation(runs, settings, step));
    CHECK_FALSE(contains(log_of(runs / "run"), message("{\"step\":", step, ",\"evaluation\"")));
    run_ok(runs.resume("run", settings));
    run_ok(runs.train("whole", settings));
    CHECK(run_difference(runs / "whole", runs / "run") == "");
    for (const char* name : {"step_000000010", "step_000000020"}) {
      const fs::path state = fs::path("checkpoints") / name / "state.json";
      CHECK(difference(runs / "whole" / state, runs / "run" / state) == "");
    }
    CHECK(difference(runs / "whole" / "checkpoints/best", runs / "run" / "checkpoints/best") == "");
  }
}

TEST_CASE("signals: an update interrupted between its batches is made again from its first") {
  const Arguments settings = {"train.accumulate=200", "train.steps=6", "train.log_every=1",
                              "train.eval_every=100", "train.checkpoint_every=100"};
  const TinyRuns runs;
  for (std::int64_t stopped = 0; stopped < 4; stopped = step_of(runs / "run")) {
    const std::string before = log_of(runs / "run");
    Program program(runs.go_on("run", settings));
    REQUIRE(wait_until([&] { return log_of(runs / "run").size() > before.size(); }));
    program.send(SIGTERM);
    if (program.wait().code == 0) break;
  }
  run_ok(runs.resume("run", settings));
  run_ok(runs.train("whole", settings));
  CHECK(run_difference(runs / "whole", runs / "run") == "");
}

TEST_CASE("signals: a limit on the size of files is an error that names the file") {
  const TinyRuns runs;
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
  const rlimit small{4096, before.rlim_max};  // less than the weights
  REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
  const Outcome outcome = run_program(runs.train("run"));
  REQUIRE(setrlimit(RLIMIT_FSIZE, &before) == 0);
  INFO(outcome.err);
  CHECK(outcome.signal == 0);
  CHECK(outcome.code == 2);
  CHECK(contains(outcome.err, "model.safetensors: File too large"));
}

}  // namespace
}  // namespace tarn::test
