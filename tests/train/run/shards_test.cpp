// train.shards: a batch in parts, each with a gradient of its own, against the whole batch.
#include "core/check.h"
#include "core/io/safetensors.h"
#include "tests/support/random_tensor.h"
#include "tests/train/run/parameter_difference.h"
#include "tests/train/tiny_speech.h"

namespace tarn::test {
namespace {

const Arguments kPlain = {"train.steps=6",      "train.log_every=1",  "train.eval_every=3",
                          "model.dropout=0",    "optimizer.kind=sgd", "optimizer.lr=0.01",
                          "train.accumulate=2", "train.batch_size=7"};

// Its runs in one part and in others have the same parameters but for rounding, and an end that
// does not depend on the number of threads.
template <class Runs>
void check_parts(const Runs& runs, Arguments settings, double tolerance) {
  run_ok(runs.train("whole", settings));
  for (const char* shards : {"2", "3", "7"}) {
    CAPTURE(shards);
    const std::string run = std::string("parts_") + shards;
    settings.push_back(std::string("train.shards=") + shards);
    run_ok(runs.train(run, settings));
    CHECK(parameter_difference(runs / "whole", runs / run) < tolerance);
    CHECK(run_difference(runs / "whole", runs / run) != "");  // it was in parts
    run_ok(runs.train(run + "_threads", settings), {{"OMP_NUM_THREADS", "3"}});
    CHECK(run_difference(runs / run, runs / (run + "_threads")) == "");
  }
}

TEST_CASE("shards: the parts of a batch make the update of the whole, copy task") {
  // Sequences of 4 to 6 symbols: parts have different numbers of targets.
  check_parts(TinyRuns(), kPlain, 1e-6);
}

TEST_CASE("shards: the parts of a batch make the update of the whole, speech") {
  const TinySpeech speech;
  Arguments settings = kPlain;
  settings.insert(settings.end(), {"speech.time_masks=0", "speech.bin_masks=0",
                                   "optimizer.lr=0.001", "speech.batch_frames=200"});
  // Batches of four utterances and fewer: of seven parts some have none.
  check_parts(speech.runs(), settings, 1e-5);
}

TEST_CASE("shards: each part draws masks of its own, and a resumed run ends in the same bytes") {
  const TinyRuns runs;
  const Arguments settings{"train.shards=3", "train.steps=20", "model.dropout=0.2"};
  run_ok(runs.train("whole", settings));
  run_ok(runs.train("parts", settings));
  const std::string checkpoint = runs / "parts" / "checkpoints" / "step_000000014";
  run_ok(runs.train("parts", settings, {"--resume=" + checkpoint}));
  CHECK(run_difference(runs / "whole", runs / "parts") == "");
  check_refused(runs.resume("parts", {"train.shards=4", "train.steps=20", "model.dropout=0.2"}),
                {"\n  train.shards"});
  check_refused(runs.train("many", {"train.shards=5"}),
                {"train.shards is 5, but train.batch_size only 4"});
}

TEST_CASE("shards: a loss that is not finite stops the run and names an op") {
  const TinyRuns runs;
  const Outcome outcome = run_program(
      runs.train("run", {"train.shards=3", "optimizer.lr=1e30", "optimizer.max_grad_norm=0"}));
  INFO(outcome.err);
  CHECK(outcome.code == 1);
  CHECK(contains(outcome.err, "is not finite; it arose first in "));
}

}  // namespace
}  // namespace tarn::test
