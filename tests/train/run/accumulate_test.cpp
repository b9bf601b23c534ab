// train.accumulate: several batches to an update, against one batch of all their images.
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/check.h"
#include "core/io/safetensors.h"
#include "tests/support/random_tensor.h"
#include "tests/train/run/parameter_difference.h"
#include "tests/train/tiny_run.h"

namespace tarn::test {
namespace {

namespace fs = std::filesystem;

// A small model of drawn images, each of which counts alike in the loss. Plain gradient descent, so
// that a difference of gradients is one of parameters.
class DrawnRuns : public TinyRuns {
 public:
  DrawnRuns() {
    const std::string folder = *this / "images";
    run_ok({"data", folder, "--draw-images", "60", "--shape", "8x8"});
    write_text(config(), message("[task]\nkind = \"images\"\ndata = \"", folder,
                                 "\"\nsequence_length = 63\nmixtures = 2\nvalidation = 11\n\n"
                                 "[model]\nlayers = 2\nheads = 2\nhead_dim = 8\ndropout = 0\n\n"
                                 "[optimizer]\nkind = \"sgd\"\nlr = 1e-2\nmomentum = 0.9\n\n"
                                 "[train]\nsteps = 6\neval_every = 3\ncheckpoint_every = 2\n"
                                 "keep_last = 9\nlog_every = 1\n"));
  }
};

// The losses of the updates, in their order.
std::vector<double> losses(const fs::path& run) {
  std::vector<double> out;
  std::istringstream lines(log_of(run));
  for (std::string line; std::getline(lines, line);) {
    const auto json = nlohmann::json::parse(line);
    if (json.contains("loss")) out.push_back(json["loss"]);
  }
  return out;
}

TEST_CASE("accumulate: three batches of two make the update of one batch of six") {
  const DrawnRuns runs;
  run_ok(runs.train("six", {"train.batch_size=6"}));
  run_ok(runs.train("two", {"train.batch_size=2"}));
  for (const char* recompute : {"false", "true"}) {
    CAPTURE(recompute);
    const std::string run = std::string("thrice_") + recompute;
    run_ok(runs.train(run, {"train.batch_size=2", "train.accumulate=3",
                            std::string("train.recompute=") + recompute}));
    // Rounding alone; with two of the six images it is another update.
    CHECK(parameter_difference(runs / "six", runs / run) < 1e-6);
    CHECK(parameter_difference(runs / "two", runs / run) > 1e-4);
    const std::vector<double> expected = losses(runs / "six"), found = losses(runs / run);
    REQUIRE(found.size() == 6);
    for (std::size_t i = 0; i < 6; ++i) CHECK(std::abs(found[i] - expected[i]) < 1e-5);
  }
  CHECK(difference(latest_checkpoint(runs / "thrice_false") / "model.safetensors",
                   latest_checkpoint(runs / "thrice_true") / "model.safetensors") == "");
}

TEST_CASE("accumulate: the batches of an update draw masks of their own") {
  const DrawnRuns runs;
  // All training images are in each batch, so two batches differ in their dropout alone; with the
  // same masks the update of two would be that of one.
  const Arguments all{"train.batch_size=49", "train.steps=1", "optimizer.lr=0.1"};
  const auto run = [&](const std::string& name, const char* dropout, const char* accumulate) {
    Arguments settings = all;
    settings.insert(settings.end(),
                    {message("model.dropout=", dropout), message("train.accumulate=", accumulate)});
    run_ok(runs.train(name, settings));
  };
  run("one", "0.2", "1");
  run("two", "0.2", "2");
  run("one_plain", "0", "1");
  run("two_plain", "0", "2");
  CHECK(parameter_difference(runs / "one_plain", runs / "two_plain") < 1e-6);
  CHECK(parameter_difference(runs / "one", runs / "two") > 1e-4);
}

TEST_CASE("accumulate: a run that was stopped and resumed ends in the same bytes") {
  const DrawnRuns runs;
  const Arguments settings{"train.batch_size=5", "train.accumulate=3", "model.dropout=0.1",
                           "optimizer.kind=radam"};
  run_ok(runs.train("whole", settings));
  run_ok(runs.train("parts", settings));
  Arguments half{"--resume=" + (runs / "parts" / "checkpoints" / "step_000000002").string()};
  run_ok(runs.train("parts", settings, half));
  CHECK(run_difference(runs / "whole", runs / "parts") == "");

  check_refused(runs.resume("parts", {"train.batch_size=5", "model.dropout=0.1",
                                      "optimizer.kind=radam", "train.accumulate=2"}),
                {"\n  train.accumulate"});
}

TEST_CASE("accumulate: a loss that is not finite stops the run and names an op") {
  const DrawnRuns runs;
  const Outcome outcome =
      run_program(runs.train("run", {"train.batch_size=2", "train.accumulate=3",
                                     "optimizer.lr=1e30", "optimizer.max_grad_norm=0"}));
  INFO(outcome.err);
  CHECK(outcome.code == 1);
  CHECK(contains(outcome.err,
                 "is not finite; it arose first in qkv_linear at or after "
                 "transformer.layers.0.attention.value_projection.bias."));
  CHECK(run_program({"eval", runs / "run"}).code == 0);
}

}  // namespace
}  // namespace tarn::test
