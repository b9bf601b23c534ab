// A run that was stopped and resumed, however often and on however many threads, ends in the bytes
// of one that was not.
#include <csignal>
#include <cstdint>

#include "core/check.h"
#include "core/rng.h"
#include "tests/train/tiny_run.h"

namespace tarn::test {
namespace {

constexpr int kKills = 10;
constexpr std::uint64_t kMostDraws = 200;  // a run may end before it is killed
constexpr std::uint64_t kSeed = 20201;

const Arguments kCausalLinear = {"model.dropout=0.1", "train.steps=400"};
const Arguments kFullPlateau = {"model.attention=full", "model.attention_dropout=0.2",
                                "model.dropout=0.1",    "schedule.kind=plateau",
                                "schedule.patience=0",  "schedule.plateau_factor=0.7",
                                "optimizer.lr=0.02",    "train.steps=400"};

// Kills a run at ten random moments, each time after going on for up to a fifth of its time, and
// lets it end. A run that ends before its ten kills is compared, and another one started.
void check_kills(const Arguments& settings, const std::string& site) {
  const TinyRuns runs;
  const double whole = run_ok(runs.train("whole", settings)).seconds;
  const double start_up = run_ok(runs.resume("whole", settings)).seconds;
  CAPTURE(kSeed);
  const RngAddress at{kSeed, site_of(site), 0};
  int kills = 0, started = 1, finished = 0;
  std::string run = "killed0";
  MESSAGE(site, ": seed ", kSeed, ", the run takes ", whole, " s, starting up ", start_up, " s");
  for (std::uint64_t draw = 0; kills < kKills && draw < kMostDraws; ++draw) {
    const double delay =
        start_up * random_uniform(at, 2 * draw) + whole / 5 * random_uniform(at, 2 * draw + 1);
    const Outcome outcome = run_and_kill(runs.go_on(run, settings), delay);
    CAPTURE(delay);
    INFO(outcome.err);
    if (outcome.signal == SIGKILL) {
      ++kills;
      continue;
    }
    REQUIRE(outcome.code == 0);
    CHECK(run_difference(runs / "whole", runs / run) == "");
    ++finished;
    run = message("killed", started++);
  }
  CHECK(kills == kKills);
  run_ok(runs.go_on(run, settings));
  CHECK(run_difference(runs / "whole", runs / run) == "");
  MESSAGE(site, ": ", kills, " kills, ", finished + 1, " runs compared");
}

TEST_CASE("resume: causal-linear with dropout, killed ten times, ends in the same bytes") {
  check_kills(kCausalLinear, "causal-linear");
}

TEST_CASE("resume: full attention and the plateau schedule, killed ten times, too") {
  check_kills(kFullPlateau, "full");
}

TEST_CASE("resume: the bytes do not depend on the number of threads [thread]") {
  for (const Arguments& kind : {kCausalLinear, kFullPlateau}) {
    const TinyRuns runs;
    Arguments settings = kind;
    // Several of the blocks that threads share out: of matrix rows, of elements.
    for (const char* setting : {"train.steps=9", "train.eval_every=4", "train.checkpoint_every=3",
                                "train.batch_size=40", "model.feed_forward=96"}) {
      settings.push_back(setting);
    }
    run_ok(runs.train("one", settings), {{"OMP_NUM_THREADS", "1"}});
    for (const char* threads : {"2", "3"}) {
      const std::string by_variable = message("variable", threads);
      run_ok(runs.train(by_variable, settings), {{"OMP_NUM_THREADS", threads}});
      CHECK(run_difference(runs / "one", runs / by_variable) == "");
      Arguments with_key = settings;
      with_key.push_back(message("run.threads=", threads));
      const std::string by_key = message("key", threads);
      run_ok(runs.train(by_key, with_key));
      CHECK(run_difference(runs / "one", runs / by_key) == "");
    }
    // One run on a changing number of threads.
    Arguments first = settings;
    first.insert(first.end(), {"train.steps=4", "run.threads=3"});
    run_ok(runs.train("mixed", first));
    run_ok(runs.resume("mixed", settings), {{"OMP_NUM_THREADS", "2"}});
    CHECK(run_difference(runs / "one", runs / "mixed") == "");
  }
}

TEST_CASE("resume: a finished run does nothing more, and goes on when given more steps") {
  const TinyRuns runs;
  run_ok(runs.train("whole", {"train.steps=60"}));
  run_ok(runs.train("parts", {"train.steps=30"}));
  const auto before = snapshot(runs / "parts");
  run_ok(runs.resume("parts", {"train.steps=30"}));
  CHECK(snapshot(runs / "parts") == before);
  run_ok(runs.resume("parts", {"train.steps=60"}));
  CHECK(run_difference(runs / "whole", runs / "parts") == "");
}

TEST_CASE("resume: from an earlier checkpoint the run's future is made again") {
  const TinyRuns runs;
  run_ok(runs.train("whole", {"train.keep_last=100"}));
  run_ok(runs.train("again", {"train.keep_last=100"}));
  for (const char* step : {"step_000000021", "step_000000000"}) {
    const auto checkpoint = runs / "again" / "checkpoints" / step;
    run_ok(runs.train("again", {"train.keep_last=100"}, {"--resume=" + checkpoint.string()}));
    CHECK(run_difference(runs / "whole", runs / "again") == "");
  }
  CHECK(run_program({"eval", runs / "again"}).code == 0);
}

// The best evaluation may lie in the future that is taken back.
TEST_CASE("resume: the pointer to the best checkpoint never names one that is gone") {
  const TinyRuns runs;
  const Arguments settings = {"train.keep_last=100", "train.steps=20", "optimizer.lr=0.003"};
  run_ok(runs.train("run", settings));
  REQUIRE(std::filesystem::exists(runs / "run" / "checkpoints" / "best"));
  const auto first = runs / "run" / "checkpoints" / "step_000000000";
  run_and_kill(
      runs.train("run",
                 {"train.keep_last=100", "train.steps=100000000", "train.eval_every=1000000",
                  "train.checkpoint_every=1000000", "optimizer.lr=0.003"},
                 {"--resume=" + first.string()}),
      0.3);
  const Outcome outcome = run_program({"eval", runs / "run"});
  INFO(outcome.err);
  CHECK(outcome.code == 0);
  CHECK(contains(outcome.out, "step 0 "));
}

}  // namespace
}  // namespace tarn::test
