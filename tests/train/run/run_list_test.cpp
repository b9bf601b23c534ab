// tarn runs and tarn info: what they say of runs that train, stopped, ended or broke, and of what
// is no run.
#include <atomic>
#include <csignal>
#include <map>
#include <nlohmann/json.hpp>

#include "core/check.h"
#include "core/io/file_lock.h"
#include "tests/train/tiny_run.h"
#include "train/run/sparkline.h"
#include "train/run/status_line.h"
#include "train/run/text_table.h"

namespace tarn::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// The lines of JSON that a command prints, by the run's name.
std::map<std::string, json> listed(const fs::path& folder) {
  const std::string out = run_ok({"runs", folder, "--json"}).out;
  std::map<std::string, json> runs;
  for (std::size_t first = 0, end = 0; (end = out.find('\n', first)) != out.npos; first = end + 1) {
    json line = json::parse(out.substr(first, end - first));
    runs[line["run"]] = line;
  }
  return runs;
}

std::uintmax_t bytes_of(const fs::path& folder) {
  std::uintmax_t total = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) total += entry.file_size();
  }
  return total;
}

TEST_CASE("runs: done, stopped and stopped early, with step, best, speed and size") {
  const TinyRuns runs;
  run_ok(runs.train("runs/done", {"train.steps=20"}));
  run_ok(runs.train("runs/early", {"train.early_stop=1", "optimizer.lr=1e-30"}));
  run_and_kill(runs.train("runs/killed", {"train.steps=100000000"}), 0.5);
  const auto found = listed(runs / "runs");
  REQUIRE(found.size() == 3);
  const json& done = found.at("done");
  CHECK(done["state"] == "done");
  CHECK(done["task"] == "copy");
  CHECK(done["step"] == 20);
  CHECK(done["steps"] == 20);
  CHECK(done["metric"] == "loss");
  CHECK(done["best"].get<double>() > 1);
  CHECK(done["best_step"].get<int>() % 10 == 0);
  CHECK(done["tokens_per_s"].get<double>() > 0);
  CHECK(done["steps_per_s"].get<double>() > 0);
  CHECK(done["bytes"] == bytes_of(runs / "runs/done"));
  CHECK(found.at("early")["state"] == "done");
  CHECK(found.at("early")["step"] == 20);
  CHECK(found.at("killed")["state"] == "stopped");
  const std::string text = run_ok({"runs", runs / "runs"}).out;
  CHECK(text.starts_with("run     state    task  step "));
  CHECK(contains(text, "\ndone    done     copy  20 of 20 "));
  CHECK(contains(text, "\nkilled  stopped  copy  "));
  CHECK(run_ok({"info", runs / "runs"}).out == text);
  CHECK(run_ok({"info", runs / "runs", "--json"}).out ==
        run_ok({"runs", runs / "runs", "--json"}).out);
}

TEST_CASE("runs: one that trains is running, and asking never keeps a trainer out") {
  const TinyRuns runs;
  Program trainer(runs.train("runs/now", {"train.steps=1000000000", "train.log_every=1",
                                          "train.checkpoint_every=100000000"}));
  REQUIRE(wait_until([&] { return contains(log_of(runs / "runs/now"), "evaluation"); }));
  const json first = listed(runs / "runs").at("now");
  CHECK(first["state"] == "running");
  const auto known = first["step"].get<int>();
  CHECK(known > 0);
  CHECK(wait_until([&] { return listed(runs / "runs").at("now")["step"].get<int>() > known; }));
  run_ok({"info", runs / "runs/now"});
  check_refused(runs.resume("runs/now"), {"is in use: another process is training there"});
  trainer.send(SIGKILL);
  trainer.wait();
  CHECK(listed(runs / "runs").at("now")["state"] == "stopped");

  const fs::path lock = runs / "lock";
  CHECK_FALSE(FileLock::held(lock));
  CHECK_FALSE(fs::exists(lock));
  {
    const FileLock held(lock);
    CHECK(FileLock::held(lock));
    CHECK_THROWS_AS(FileLock{lock}, IoError);
  }
  CHECK_FALSE(FileLock::held(lock));
  // Whoever wants the lock gets it while others ask without a pause.
  std::atomic<bool> asking = true;
  std::thread other([&] {
    while (asking) FileLock::held(lock);
  });
  for (int i = 0; i < 20000; ++i) CHECK_NOTHROW(FileLock{lock});
  asking = false;
  other.join();
}

TEST_CASE("runs: a broken run says why, foreign folders are left out, and nothing is changed") {
  const TinyRuns runs;
  const Arguments settings = {"train.steps=20"};
  for (const char* name : {"state", "config", "no_config", "pointer", "log", "torn", "timing"}) {
    run_ok(runs.train(message("runs/", name), settings));
  }
  const fs::path folder = runs / "runs";
  write_text(latest_checkpoint(folder / "state") / "state.json", "{}");
  write_text(folder / "config" / "config.toml", "[run]\ncolour = 1\n");
  fs::remove(folder / "no_config" / "config.toml");
  fs::remove_all(latest_checkpoint(folder / "pointer"));
  fs::resize_file(folder / "log" / "metrics.jsonl", 100);
  write_text(folder / "torn" / "metrics.jsonl",
             read_file(folder / "torn" / "metrics.jsonl") + "{\"step\":21,\"lo");
  write_text(folder / "timing" / "timing.jsonl", "{\"step\":1,\"time\":\"noon\"}\n");
  fs::create_directories(folder / "begun");
  write_text(folder / "begun" / ".starting", "");
  write_text(folder / "begun" / ".lock", "");
  fs::create_directories(folder / "notes" / "checkpoints");
  write_text(folder / "notes" / "config.toml", "x = 1\n");
  fs::create_directories(folder / "empty");
  write_text(folder / "file", "x");
  const auto before = snapshot(folder);
  auto found = listed(folder);
  CHECK(snapshot(folder) == before);
  CHECK(found.size() == 8);
  CHECK(found.at("torn")["state"] == "done");
  const auto problem = [&](const char* name) {
    CHECK(found.at(name)["state"] == "broken");
    return found.at(name)["problem"].get<std::string>();
  };
  CHECK(contains(problem("state"), "state.json"));
  CHECK(contains(problem("config"), "config.toml:2: run.colour"));
  CHECK(contains(problem("no_config"), "config.toml is missing"));
  CHECK(contains(problem("pointer"), "step_000000020"));
  CHECK(contains(problem("log"), "lines are missing"));
  CHECK(contains(problem("timing"), "timing.jsonl:1: time is not a number"));
  CHECK(contains(problem("begun"), "its start was interrupted"));
  CHECK(contains(run_ok({"runs", folder}).out, "broken"));
  check_refused({"info", folder / "log"}, {"cannot continue ", "lines are missing"});
  check_refused({"runs", folder / "torn", folder / "log"}, {"log cannot be compared"});
  check_refused({"runs", folder / "torn", folder / "notes"}, {"notes is no run"});
  check_refused({"runs", folder / "none"}, {"none is not there"});
  check_refused({"runs", folder / "file"}, {"is a file"});
  const Outcome none = run_ok({"runs", folder / "empty"});
  CHECK(none.out == "");
  CHECK(contains(none.err, "there are no runs in "));
  const Outcome itself = run_ok({"runs", folder / "torn/"});
  CHECK(contains(itself.out, "\ntorn  done"));
  CHECK(contains(itself.err, "tarn info "));
}

TEST_CASE("runs: two or more are compared by their keys and results") {
  const TinyRuns runs;
  run_ok(runs.train("a", {"train.steps=20"}));
  run_ok(runs.train("b", {"train.steps=10", "optimizer.lr=0.02", "schedule.milestones=[1,2]"}));
  run_ok(runs.train("c", {"train.steps=20", "run.name=\"c \\\" c\""}));
  const std::string text = run_ok({"runs", runs / "a", runs / "b", runs / "c"}).out;
  INFO(text);
  CHECK(contains(text, "\noptimizer.lr         0.001 "));
  CHECK(contains(text, "\ntrain.steps          20 "));
  CHECK(contains(text, "\nbest                 loss "));
  CHECK_FALSE(contains(text, "model."));
  const json line = json::parse(run_ok({"runs", runs / "a", runs / "b", runs / "c", "--json"}).out);
  CHECK(line["config"]["optimizer.lr"] == json({0.001, 0.02, 0.001}));
  CHECK(line["config"]["schedule.milestones"][1] == json({1, 2}));
  CHECK(line["config"]["run.name"][2] == "c \" c");
  CHECK(line["config"].size() == 4);
  REQUIRE(line["runs"].size() == 3);
  CHECK(line["runs"][1]["step"] == 10);
}

TEST_CASE("info: a run's config, curve and checkpoints; a checkpoint and the machine as JSON") {
  const TinyRuns runs;
  run_ok(runs.train("run", {"train.steps=50", "train.checkpoint_every=25", "train.keep_last=9"}));
  const std::string text = run_ok({"info", runs / "run"}).out;
  INFO(text);
  for (const char* part :
       {"\n  step   50 of 50\n", "\n  train.eval_every        10", "(default: 100)",
        "\nevaluations: 5\n  loss  first ", "  last ", "  best ", "\n  step 25  -\n",
        "\n  step 50  loss ", "latest", "\n  step: 50\n"}) {
    CAPTURE(part);
    CHECK(contains(text, part));
  }
  CHECK_FALSE(contains(text, "optimizer.lr"));
  const json run = json::parse(run_ok({"info", runs / "run", "--json"}).out);
  CHECK(run["config"]["optimizer.lr"] == 0.001);
  CHECK(run["evaluations"].size() == 5);
  CHECK(run["checkpoints"].back()["latest"] == true);
  CHECK(run["checkpoints"].back()["evaluation"]["loss"] == run["evaluations"][4]["loss"]);
  CHECK(run["latest"]["step"] == 50);
  const fs::path checkpoint = latest_checkpoint(runs / "run");
  CHECK(run_ok({"info", checkpoint}).out.starts_with("checkpoint "));
  CHECK(json::parse(run_ok({"info", checkpoint, "--json"}).out) ==
        json::parse(run_ok({"info", runs / "run" / "checkpoints/latest", "--json"}).out));
  CHECK(json::parse(run_ok({"info", "--json"}).out)["threads"] == 1);
}

TEST_CASE("info: the curve in a line of text") {
  using train::sparkline;
  CHECK(sparkline(std::vector<double>{1, 2, 4, 8, 16, 32, 64, 128}, 20) == "▁▂▃▄▅▆▇█");
  CHECK(sparkline(std::vector<double>{0, 7}, 20) == "▁█");  // not all above 0: no logarithm
  CHECK(sparkline(std::vector<double>{3, 3}, 20) == "▁▁");
  const double none = std::numeric_limits<double>::quiet_NaN();
  CHECK(sparkline(std::vector<double>{8, none, 1}, 20) == "█ ▁");
  CHECK(sparkline(std::vector<double>{9, 7, 1, 1, 1}, 2) == "█▁");
  CHECK(sparkline({}, 20) == "");
}

TEST_CASE("info: tables and sizes") {
  CHECK(train::text_table({{"zwölf", "b", "c"}, {"a", "a long sentence"}}) ==
        "zwölf  b  c\na      a long sentence\n");
  CHECK(train::size_text(999) == "999 bytes");
  CHECK(train::size_text(1000) == "1.0 kB");
  CHECK(train::size_text(999'999) == "1.0 MB");
  CHECK(train::size_text(12'300'000'000) == "12 GB");
}

}  // namespace
}  // namespace tarn::test
