// Runs under mpirun: the same bytes for any number of processes, whatever becomes of them.
#include <csignal>

#include "core/check.h"
#include "core/io/safetensors.h"
#include "data/drawn_images.h"
#include "tests/train/distributed/mpirun.h"
#include "tests/train/tiny_speech.h"

namespace tarn::test {
namespace {

namespace fs = std::filesystem;

const Arguments kShards = {"train.shards=8", "train.batch_size=8", "model.dropout=0.1"};

// Whole checkpoints, the log too.
void check_same_run(const fs::path& a, const fs::path& b) {
  CHECK(run_difference(a, b) == "");
  CHECK(difference(latest_checkpoint(a) / "state.json", latest_checkpoint(b) / "state.json") == "");
}

TEST_CASE("mpi: the same bytes for any number of processes, copy task") {
  if (!has_mpi()) return;
  const TinyRuns runs;
  const Arguments settings =
      with(kShards, {"train.steps=12", "train.accumulate=2", "train.eval_batches=5"});
  run_ok(runs.train("1", settings));
  for (const int ranks : {2, 3, 4}) {
    CAPTURE(ranks);
    run_ranks_ok(ranks, runs.train(std::to_string(ranks), settings));
    check_same_run(runs / "1", runs / std::to_string(ranks));
  }
  // An exchange of a gradient, two batches of three totals, and two counts, with each of two ranks.
  const SafetensorsFile model(latest_checkpoint(runs / "4") / "model.safetensors");
  std::int64_t gradient = 0;
  for (const auto& entry : model.entries()) {
    if (entry.shape.elements() > 0 && !contains(entry.name, "pos_embedding")) {
      gradient += (entry.shape.elements() + 63) / 64 * 256;
    }
  }
  const std::string timing = read_file(runs / "4" / "timing.jsonl");
  CHECK(contains(timing, message("\"bytes_sent\":", 2 * (gradient + 2 * 3 * 8 + 2 * 8), ",")));
  CHECK(contains(timing, "\"exchange_seconds\":"));
  CHECK(contains(timing, "\"exchange_hidden\":0."));
  CHECK_FALSE(contains(read_file(runs / "1" / "timing.jsonl"), "exchange"));
}

TEST_CASE("mpi: the same bytes for any number of processes, images") {
  if (!has_mpi()) return;
  const TinyRuns runs;
  const data::ImageShape shape{6, 5, 1};
  data::write_image_folder(runs / "images", data::draw_images(shape, 40, "train", 1),
                           data::draw_images(shape, 9, "test", 1));
  const Arguments settings =
      with(kShards, {"task.kind=images", "task.data=" + (runs / "images").string(),
                     message("task.sequence_length=", shape.values() - 1), "task.mixtures=3",
                     "task.validation=9", "train.steps=10", "train.recompute=true"});
  run_ok(runs.train("1", settings));
  for (const int ranks : {2, 3}) {
    CAPTURE(ranks);
    run_ranks_ok(ranks, runs.train(std::to_string(ranks), settings));
    check_same_run(runs / "1", runs / std::to_string(ranks));
  }
}

TEST_CASE("mpi: the same bytes for any number of processes, speech") {
  if (!has_mpi()) return;
  const TinySpeech speech;
  const Arguments settings = with(kShards, {"train.steps=10"});
  run_ok(speech.runs().train("1", settings));
  for (const int ranks : {3, 4}) {  // some have no utterance of a batch
    CAPTURE(ranks);
    run_ranks_ok(ranks, speech.runs().train(std::to_string(ranks), settings));
    check_same_run(speech / "1", speech / std::to_string(ranks));
  }
}

TEST_CASE("mpi: a run goes on with another number of processes, after a kill too") {
  if (!has_mpi()) return;
  const TinyRuns runs;
  const auto steps = [](std::int64_t count) {
    return with(kShards, {message("train.steps=", count)});
  };
  run_ok(runs.train("parts", steps(10)));
  run_ranks_ok(4, runs.resume("parts", steps(20)));
  const Outcome killed = signal_rank(
      2, runs.resume("parts", steps(100000)),
      [&] { return contains(log_of(runs / "parts"), "\"step\":30"); }, 1, SIGKILL);
  CHECK(killed.code > 0);
  CHECK(contains(killed.err, "rank 1"));  // by mpirun
  const std::string latest = latest_checkpoint(runs / "parts").filename();
  const std::int64_t end = std::stoll(latest.substr(latest.find('_') + 1)) + 10;
  run_ranks_ok(3, runs.resume("parts", steps(end)));
  run_ok(runs.train("whole", steps(end)));
  check_same_run(runs / "whole", runs / "parts");
}

TEST_CASE("mpi: a process that hangs ends the run in time, and is named") {
  if (!has_mpi()) return;
  const TinyRuns runs;
  const Outcome outcome = signal_rank(
      3, runs.train("run", with(kShards, {"train.steps=100000", "run.timeout=2"})),
      [&] { return contains(log_of(runs / "run"), "\"step\":9"); }, 1, SIGSTOP);
  INFO(outcome.err);
  CHECK(outcome.code == 1);
  CHECK(contains(outcome.err, "rank 1 on "));
  CHECK(contains(outcome.err, " did not answer for "));
  run_ok({"info", (runs / "run" / "checkpoints" / "latest").string()});
}

TEST_CASE("mpi: a signal to any process saves once and ends all") {
  if (!has_mpi()) return;
  const TinyRuns runs;
  const Arguments settings = with(kShards, {"train.steps=100000"});
  const Outcome outcome = signal_rank(
      2, runs.train("run", settings), [&] { return contains(log_of(runs / "run"), "\"step\":9"); },
      1, SIGTERM);
  INFO(outcome.err);
  CHECK(outcome.code == 128 + SIGTERM);
  CHECK(contains(outcome.err, "stopped by SIGTERM"));
  CHECK(contains(outcome.err, "which is saved"));
}

TEST_CASE("mpi: a signal to any process ends a shared evaluation, which is made again") {
  if (!has_mpi()) return;
  const TinyRuns runs;
  const Arguments settings =
      with(kShards, {"train.steps=10", "train.log_every=1", "train.eval_batches=400"});
  const auto interrupted = [&] {  // a busy machine may miss the evaluation
    fs::remove_all(runs / "run");
    Program run = Program::of_command(command_of(2, runs.train("run", settings)), kMpirun);
    REQUIRE(wait_until([&] { return contains(log_of(runs / "run"), "\"step\":10,"); }));
    const std::vector<pid_t> ranks = ranks_of(run);
    if (ranks.size() == 2) kill(ranks[1], SIGTERM);
    const Outcome outcome = run.wait(30);
    INFO(outcome.err);
    if (outcome.code == 0) return false;
    CHECK(outcome.code == 128 + SIGTERM);
    CHECK(contains(outcome.err, "stopped by SIGTERM (terminate) after step 10, which is saved"));
    return contains(read_file(latest_checkpoint(runs / "run") / "state.json"),
                    "\"evaluation_due\": true");
  };
  REQUIRE((interrupted() || interrupted() || interrupted()));
  run_ranks_ok(3, runs.resume("run", settings));
  run_ok(runs.train("whole", settings));
  check_same_run(runs / "whole", runs / "run");
}

TEST_CASE("mpi: what cannot be is refused by all and said once") {
  if (!has_mpi()) return;
  const TinyRuns runs;
  const auto check = [&](const Arguments& arguments, const std::string& part) {
    check_ranks_refused(2, arguments, part);
    CHECK_FALSE(fs::exists(runs / "run"));
  };
  check(runs.train("run"), "train.shards is 1, and there are 2 processes");
  check(runs.train("run", {"train.shards=2", "optimizer.l=1"}), "is not a known key");
  check(runs.train("run", {"train.shards=2", "task.kind=images"}), "task.data is empty");
}

TEST_CASE("mpi: processes with different configs are refused") {
  if (!has_mpi()) return;
  const TinyRuns runs;
  const std::string script =
      "mpirun --oversubscribe -n 1 \"$TARN\" train " + runs.config().string() +
      " --set train.shards=4 --out " + (runs / "run").string() + " : -n 1 \"$TARN\" train " +
      runs.config().string() + " --set train.shards=4 --set optimizer.lr=0.5 --out " +
      (runs / "run").string();
  const Outcome outcome = run_script(script, kMpirun);
  INFO(outcome.err);
  CHECK(outcome.code == 2);
  CHECK(contains(outcome.err, "optimizer.lr is 0.5 for rank 1 on "));
  CHECK_FALSE(fs::exists(runs / "run"));
}

}  // namespace
}  // namespace tarn::test
