// Checkpoints that are damaged, or not this model's: exit code 2, the file named, nothing touched.
#include <nlohmann/json.hpp>

#include "core/check.h"
#include "tests/train/tiny_run.h"
#include "train/run/checkpoint.h"

namespace tarn::test {
namespace {

namespace fs = std::filesystem;

const Arguments kFourSteps = {"train.steps=4"};

void flip_bit(const fs::path& file, std::size_t byte, int bit) {
  std::string content = read_file(file);
  content.at(byte) = static_cast<char>(content[byte] ^ (1 << bit));
  write_text(file, content);
}

void damage(const fs::path& file, const std::string& how) {
  const std::string content = read_file(file);
  if (how == "missing") {
    fs::remove(file);
  } else if (how == "truncated") {
    write_text(file, content.substr(0, content.size() / 2));
  } else if (how == "empty") {
    write_text(file, "");
  } else {
    flip_bit(file, content.size() / 2, 0);
  }
}

TEST_CASE("checkpoint: a file that is missing, cut or changed by a bit is named") {
  const TinyRuns runs;
  run_ok(runs.train("good", kFourSteps));
  const Arguments files = {"model.safetensors", "optimizer.safetensors", "config.toml",
                           "state.json"};
  for (const std::string& file : files) {
    for (const std::string how : {"missing", "truncated", "empty", "flipped"}) {
      CAPTURE(file);
      CAPTURE(how);
      fs::remove_all(runs / "bad");
      fs::copy(runs / "good", runs / "bad", fs::copy_options::recursive);
      const fs::path checkpoint = latest_checkpoint(runs / "bad");
      damage(checkpoint / file, how);
      const auto before = snapshot(runs / "bad");
      std::vector<Arguments> commands = {{"info", runs / "bad"}, runs.resume("bad", kFourSteps)};
      // An evaluation needs no optimizer.
      const bool read_by_eval = file != "optimizer.safetensors";
      if (read_by_eval) commands.push_back({"eval", checkpoint});
      for (const Arguments& command : commands) {
        const Outcome outcome = run_program(command);
        INFO(outcome.err);
        CHECK(outcome.code == 2);
        CHECK(contains(outcome.err, "tarn: " + checkpoint.string()));
        CHECK(contains(outcome.err, file));
      }
      if (!read_by_eval) CHECK(run_program({"eval", checkpoint}).code == 0);
      CHECK(snapshot(runs / "bad") == before);
    }
  }
}

TEST_CASE("checkpoint: a bit of state.json changed anywhere is noticed") {
  const TinyRuns runs;
  run_ok(runs.train("run", kFourSteps));
  const fs::path checkpoint = latest_checkpoint(runs / "run");
  const std::string good = read_file(checkpoint / "state.json");
  for (std::size_t byte = 0; byte < good.size(); ++byte) {
    if (good[byte] == ' ' || good[byte] == '\n') continue;  // of one space another may be made
    CAPTURE(byte);
    CAPTURE(good.substr(0, byte));
    flip_bit(checkpoint / "state.json", byte, static_cast<int>(byte % 7));
    // The last digit of a number may be one of several that mean the same.
    const auto changed =
        nlohmann::json::parse(read_file(checkpoint / "state.json"), nullptr, false);
    if (changed == nlohmann::json::parse(good)) {
      write_text(checkpoint / "state.json", good);
      continue;
    }
    CHECK_THROWS_AS(train::Checkpoint{checkpoint}, IoError);
    write_text(checkpoint / "state.json", good);
  }
  CHECK_NOTHROW(train::Checkpoint{checkpoint});
}

TEST_CASE("checkpoint: a pointer that is empty or names nothing is an error") {
  const TinyRuns runs;
  run_ok(runs.train("run", kFourSteps));
  for (const char* text : {"", "\n", "step_000000099\n"}) {
    write_text(runs / "run" / "checkpoints" / "latest", text);
    for (const Arguments& command :
         {Arguments{"info", runs / "run"}, runs.resume("run", kFourSteps)}) {
      const Outcome outcome = run_program(command);
      INFO(outcome.err);
      CHECK(outcome.code == 2);
      CHECK(contains(outcome.err, (runs / "run" / "checkpoints").string()));
    }
  }
}

TEST_CASE("checkpoint: another model's tensors are listed all at once") {
  const TinyRuns runs;
  run_ok(runs.train("run", kFourSteps));
  const fs::path run = runs / "run";
  const Outcome wider = run_program({"eval", run, "--set", "model.head_dim=16"});
  INFO(wider.err);
  CHECK(wider.code == 2);
  CHECK(contains(wider.err, "does not fit the model of this config"));
  CHECK(contains(wider.err,
                 "\n  transformer.layers.0.attention.query_projection.weight is f32 "
                 "[16, 16] in the file and f32 [32, 32] in the model"));
  // Every parameter of the model has the width in its shape, but for one bias.
  CHECK(std::count(wider.err.begin(), wider.err.end(), '\n') >= 21);
  CHECK_FALSE(contains(wider.err, "predictor.bias"));

  const Outcome deeper = run_program({"eval", run, "--set", "model.layers=3"});
  INFO(deeper.err);
  CHECK(deeper.code == 2);
  for (const char* layer : {"1", "2"}) {
    CHECK(
        contains(deeper.err, message("\n  transformer.layers.", layer, ".norm2.bias is missing")));
  }
  CHECK_FALSE(contains(deeper.err, "layers.0"));
}

TEST_CASE("checkpoint: resuming with another config lists every key that differs") {
  const TinyRuns runs;
  run_ok(runs.train("run", kFourSteps));
  const auto before = snapshot(runs / "run");
  Arguments settings = kFourSteps;
  settings.insert(settings.end(), {"model.layers=2", "optimizer.lr=0.5", "run.seed=7",
                                   "train.batch_size=5", "train.log_every=1"});
  const Outcome outcome = run_program(runs.resume("run", settings));
  INFO(outcome.err);
  CHECK(outcome.code == 2);
  CHECK(contains(outcome.err, (runs / "run").string()));
  CHECK(contains(outcome.err, "\n  model.layers was 1 and is 2"));
  CHECK(contains(outcome.err, "\n  optimizer.lr was 0.001 and is 0.5"));
  CHECK(contains(outcome.err, "\n  run.seed was 1 and is 7"));
  CHECK(contains(outcome.err, "\n  train.batch_size was 4 and is 5"));
  CHECK_FALSE(contains(outcome.err, "log_every"));  // may change
  CHECK(snapshot(runs / "run") == before);
}

}  // namespace
}  // namespace tarn::test
