// Which checkpoint is the best: of equal ones the later, and what becomes of one that was lost.
#include <nlohmann/json.hpp>

#include "core/check.h"
#include "tests/train/tiny_run.h"

namespace tarn::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// With a rate of almost nothing every evaluation is the same.
const Arguments kTies = {"optimizer.lr=1e-30", "optimizer.weight_decay=0", "train.eval_every=10",
                         "train.keep_last=100"};

json state_of(const fs::path& checkpoint) {
  return json::parse(read_file(checkpoint / "state.json"));
}

std::string best_of(const fs::path& run) { return read_file(run / "checkpoints" / "best"); }

TEST_CASE(
    "best: of equal evaluations the later is the best, and an early stop counts from the first") {
  const TinyRuns runs;
  run_ok(runs.train("run", with(kTies, {"train.steps=40"})));
  CHECK(best_of(runs / "run") == "step_000000040\n");
  const json state = state_of(latest_checkpoint(runs / "run"));
  CHECK(state["best_step"] == 40);
  CHECK(state["lowest_step"] == 10);
  CHECK(state["best"] == state["lowest"]);
  // Three evaluations that are no better than that of step 10.
  const Outcome stopped =
      run_ok(runs.train("stopped", with(kTies, {"train.steps=100", "train.early_stop=3"})));
  INFO(stopped.err);
  CHECK(contains(stopped.err, "stopped early"));
  CHECK(latest_checkpoint(runs / "stopped").filename() == "step_000000040");
}

TEST_CASE("best: it stays while later checkpoints come and go") {
  const TinyRuns runs;
  run_ok(runs.train("run", {"train.steps=10"}));
  const Program further(
      runs.train("run", {"train.steps=100000000", "train.eval_every=1000000", "train.keep_last=1"},
                 {"--resume"}));
  const auto latest = [&] { return latest_checkpoint(runs / "run").filename().string(); };
  for (int tries = 0; tries < 6000 && latest() < "step_000000028"; ++tries) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  REQUIRE(latest() >= "step_000000028");
  CHECK(best_of(runs / "run") == "step_000000010\n");
  CHECK(fs::exists(runs / "run" / "checkpoints" / "step_000000010" / "model.safetensors"));
}

TEST_CASE("best: one that is gone is told, and the best of those that are there takes its place") {
  const TinyRuns runs;
  const Arguments settings = {"train.keep_last=100", "train.eval_every=10", "optimizer.lr=0.003"};
  run_ok(runs.train("run", with(settings, {"train.steps=30"})));
  REQUIRE(best_of(runs / "run") == "step_000000030\n");
  const fs::path checkpoints = runs / "run" / "checkpoints";
  fs::remove_all(checkpoints / "step_000000030");
  // Goes on from step 28, which knows of step 20 as the best: lost too.
  fs::remove_all(checkpoints / "step_000000020");
  const Outcome outcome =
      run_ok(runs.train("run", with(settings, {"train.steps=29"}),
                        {"--resume=" + (checkpoints / "step_000000028").string()}));
  INFO(outcome.err);
  CHECK(contains(outcome.err, "the best checkpoint that step 28 knows of, of step 20"));
  CHECK(contains(outcome.err, "the best of those that are is of step 10"));
  // The last step was evaluated; it is worse than step 20 or not, and better than 10.
  CHECK(best_of(runs / "run") == "step_000000029\n");
  const json state = state_of(latest_checkpoint(runs / "run"));
  CHECK(state["best_step"] == 29);
}

TEST_CASE("best: with none left the next evaluation makes it anew, and eval says what it takes") {
  const TinyRuns runs;
  const Arguments settings = {"train.keep_last=100", "train.eval_every=10", "optimizer.lr=0.003"};
  run_ok(runs.train("run", with(settings, {"train.steps=20"})));
  const fs::path checkpoints = runs / "run" / "checkpoints";
  const double lost = state_of(checkpoints / "step_000000014")["best"];
  fs::remove_all(checkpoints / "step_000000010");
  fs::remove_all(checkpoints / "step_000000020");
  const Arguments worse = with(settings, {"train.steps=21"});
  const Outcome outcome =
      run_ok(runs.train("run", with(settings, {"train.steps=14", "train.eval_every=1000000"}),
                        {"--resume=" + (checkpoints / "step_000000014").string()}));
  INFO(outcome.err);
  CHECK(contains(outcome.err, "the next evaluation makes the best one anew"));
  CHECK_FALSE(fs::exists(checkpoints / "best"));
  const Outcome eval = run_ok({"eval", runs / "run"});
  CHECK(contains(eval.err, "of step 10, is not there any more; this is the latest, of step 14"));
  CHECK(contains(eval.out, "step 14 "));
  run_ok(runs.resume("run", worse));
  CHECK(fs::exists(checkpoints / "best"));
  CHECK(state_of(latest_checkpoint(runs / "run"))["lowest"].get<double>() <= lost);
}

}  // namespace
}  // namespace tarn::test
