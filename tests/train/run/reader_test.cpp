// Those who read a run: by any of its paths, while it trains and prunes, and what they are told.
#include <csignal>
#include <nlohmann/json.hpp>

#include "core/check.h"
#include "tests/train/tiny_run.h"

namespace tarn::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

TEST_CASE("reader: info, eval and --weights get a whole checkpoint while the run prunes") {
  const TinyRuns runs;
  Program trainer(runs.train("run", {"train.steps=1000000000", "train.checkpoint_every=1",
                                     "train.keep_last=1", "train.eval_every=7"}));
  REQUIRE(wait_until([&] { return contains(log_of(runs / "run"), "evaluation"); }));
  const std::string first = latest_checkpoint(runs / "run").string();
  const fs::path pointer = runs / "run" / "checkpoints" / "latest";
  for (int i = 0; i < 15; ++i) {
    run_ok({"info", runs / "run"});
    run_ok({"info", pointer});
    run_ok({"eval", runs / "run", "--json"});
    run_ok({"eval", pointer, "--json"});
    const std::string next = message("next", i);
    run_ok(runs.train(next, {"train.steps=0"}, {"--weights", runs / "run"}));
  }
  CHECK(latest_checkpoint(runs / "run").string() != first);  // it has gone on, and pruned
  trainer.send(SIGTERM);
  CHECK(trainer.wait().code == 128 + SIGTERM);
}

TEST_CASE("reader: every path that means a checkpoint is taken, wherever one is wanted") {
  const TinyRuns runs;
  const Arguments settings = {"train.steps=20", "train.eval_every=10", "train.keep_last=100"};
  run_ok(runs.train("run", settings));
  const fs::path checkpoints = runs / "run" / "checkpoints";
  const std::string last = latest_checkpoint(runs / "run").string();
  fs::create_directory_symlink(runs / "run", runs / "run_link");
  fs::create_directory_symlink(last, runs / "checkpoint_link");
  fs::create_symlink(checkpoints / "latest", runs / "pointer_link");
  const fs::path here = fs::current_path();
  fs::current_path(runs / "run");
  const std::vector<std::string> paths = {runs / "run",
                                          (runs / "run").string() + "/",
                                          checkpoints,
                                          checkpoints.string() + "/",
                                          checkpoints / "latest",
                                          checkpoints / "best",
                                          last,
                                          last + "/",
                                          runs / "run_link",
                                          runs / "run_link/",
                                          runs / "checkpoint_link",
                                          runs / "pointer_link",
                                          ".",
                                          "checkpoints",
                                          "checkpoints/latest",
                                          "../run/",
                                          "checkpoints/" + fs::path(last).filename().string()};
  for (std::size_t i = 0; i < paths.size(); ++i) {
    CAPTURE(paths[i]);
    CHECK(contains(run_ok({"info", paths[i]}).out, "step: 20\n"));
    const json evaluated = json::parse(run_ok({"eval", paths[i], "--json"}).out);
    CHECK(evaluated["step"] == 20);
    const std::string next = message("next", i);
    run_ok(runs.train(next, {"train.steps=0"}, {"--weights", paths[i]}));
    CHECK(difference(latest_checkpoint(runs / next) / "model.safetensors",
                     fs::path(last) / "model.safetensors") == "");
    run_ok(runs.train("run", settings, {"--resume=" + paths[i]}));
  }
  fs::current_path(here);
}

TEST_CASE("reader: tarn info on a folder of runs has a line for each") {
  const TinyRuns runs;
  fs::create_directory(runs / "runs");
  run_ok(runs.train("runs/first", {"train.steps=20", "train.eval_every=10"}));
  run_ok(runs.train("runs/second_one", {"train.steps=0"}));
  run_ok(runs.train("runs/third", {"train.steps=2"}));
  write_text(latest_checkpoint(runs / "runs/third") / "state.json", "{}");
  fs::create_directory(runs / "runs/no_run");
  const Outcome outcome = run_ok({"info", runs / "runs"});
  INFO(outcome.out);
  CHECK(contains(outcome.out, "\nfirst       done    copy  20 of 20  loss "));
  CHECK(contains(outcome.out, "\nsecond_one  done    copy  0 of 0    -  "));
  CHECK(contains(outcome.out, "\nthird       broken  "));
  CHECK_FALSE(contains(outcome.out, "no_run"));
  check_refused({"info", runs / "runs/no_run"}, {"holds no checkpoint"});
}

TEST_CASE("reader: half a line of timing.jsonl is cut off when the run is resumed") {
  const TinyRuns runs;
  run_ok(runs.train("run", {"train.steps=9"}));
  const fs::path timing = runs / "run" / "timing.jsonl";
  const std::string whole = read_file(timing);
  write_text(timing, whole + "{\"step\":12,\"sec");
  run_ok(runs.resume("run", {"train.steps=30"}));
  const std::string after = read_file(timing);
  CHECK(after.starts_with(whole));
  for (std::size_t at = 0; at < after.size();) {
    const std::size_t end = after.find('\n', at);
    REQUIRE(end != std::string::npos);
    CHECK(json::accept(after.substr(at, end - at)));
    at = end + 1;
  }
}

TEST_CASE("reader: trace does not write over what it reads") {
  const TinyRuns runs;
  run_ok(runs.train("run", {"train.steps=0"}));
  const fs::path model = latest_checkpoint(runs / "run") / "model.safetensors";
  const std::string before = read_file(model);
  check_refused({"trace", runs.config(), "--weights", model, "--batch", model, "--out", model},
                {"is what is read"});
  CHECK(read_file(model) == before);
}

TEST_CASE("reader: results are not written over the files of a run") {
  const TinyRuns runs;
  run_ok(runs.train("run", {"train.steps=4"}));
  run_ok(runs.train("other", {"train.steps=0"}));
  const auto before = snapshot(runs / "run");
  for (const fs::path& file :
       {runs / "run" / "config.toml", runs / "run" / "metrics.jsonl", runs / "run" / "timing.jsonl",
        latest_checkpoint(runs / "run") / "model.safetensors"}) {
    check_refused({"trace", runs.config(), "--weights", runs / "other", "--batch", runs.config(),
                   "--out", file},
                  {"cannot write " + file.string(), "choose another file"});
  }
  CHECK(snapshot(runs / "run") == before);
}

}  // namespace
}  // namespace tarn::test
