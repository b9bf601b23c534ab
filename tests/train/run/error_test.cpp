// What people get wrong, and what machines lack: exit code 2, a message that says what to mend, and
// a folder as it was before.
#include <sys/mount.h>
#include <unistd.h>

#include <csignal>

#include "core/check.h"
#include "tests/train/tiny_run.h"

namespace tarn::test {
namespace {

namespace fs = std::filesystem;

// A config of this text and these settings is refused, and no folder is made.
void check_config(const std::string& text, const Arguments& settings,
                  const std::vector<std::string>& parts) {
  const TinyRuns runs;
  write_text(runs.config(), text);
  CAPTURE(text);
  check_refused(runs.train("run", settings), parts);
  CHECK_FALSE(fs::exists(runs / "run"));
}

TEST_CASE("errors: a config that is missing or wrong") {
  const TinyRuns runs;
  check_refused({"train", runs / "none.toml", "--out", runs / "run"},
                {"tarn: cannot open ", "none.toml", "No such file or directory"});
  CHECK_FALSE(fs::exists(runs / "run"));
  check_config("[model\nlayers = 1\n", {}, {"config.toml:1: "});
  check_config("[model]\nlayers = 1\nlayerz = 2\n", {},
               {"config.toml:3: ", "model.layerz", "did you mean model.layers?"});
  check_config("[modle]\nlayers = 1\n", {}, {"config.toml:1: ", "did you mean [model]?"});
  check_config("[model]\n\ndropout = 1.5\n", {},
               {"config.toml:3: ", "model.dropout is 1.5", "must be in [0, 1)"});
  check_config("[model]\nlayers = \"two\"\n", {},
               {"config.toml:2: ", "model.layers must be an integer", "two"});
  check_config("[model]\nattention = \"quadratic\"\n", {},
               {"config.toml:2: ", "model.attention", "full, linear, causal-linear, lsh"});
  check_config("[schedule]\nwarmup_steps = 5\n", {},
               {"config.toml:2: ", "schedule.warmup_steps", "only cosine has a warm-up"});
  check_config("[task]\nsequence_length = 4\n", {}, {"config.toml:2: ", "too short"});
}

TEST_CASE("errors: an override that is wrong") {
  check_config("", {"model.layerz=2"}, {"--set model.layerz=2", "did you mean model.layers?"});
  check_config("", {"model.layers"}, {"--set model.layers", "section.key=value"});
  check_config("", {"model.layers=0"}, {"--set model.layers=0", "model.layers is 0"});
  check_config("", {"model.layers=x"}, {"--set model.layers=x", "an integer"});
  check_config("", {"model.heads=1", "model.head_dim=7"},
               {"--set model.head_dim=7", "must be even"});
}

TEST_CASE("errors: a device that this build has not") {
  check_config(kTinyConfig, {"run.device=cuda:99"}, {"tarn: device cuda:99 is not available"});
  check_config(kTinyConfig, {"run.device=tpu"}, {"tarn: \"tpu\" is not a device", "\"cpu\""});
}

TEST_CASE("errors: names of keys and folders on the command line that are wrong") {
  const TinyRuns runs;
  check_refused({"config", "optimizer.lrr"}, {"did you mean optimizer.lr?"});
  check_refused({"info", runs / "none"}, {"none", "neither a run's folder nor a checkpoint"});
  check_refused({"eval", runs / "none"}, {"none", "neither a run's folder nor a checkpoint"});
  CHECK_FALSE(fs::exists(runs / "run"));
}

TEST_CASE("errors: an output folder that cannot be written") {
  const TinyRuns runs;
  write_text(runs / "file", "text");
  check_refused(
      {"train", runs.config(), "--out", runs / "file" / "run"},
      {"tarn: cannot create the directory ", (runs / "file").string(), "Not a directory"});
  check_refused({"train", runs.config(), "--out", runs / "file"},
                {"tarn: cannot ", (runs / "file").string()});
  CHECK(read_file(runs / "file") == "text");
  check_refused({"train", runs.config(), "--out", "/proc/tarn/run"},
                {"tarn: cannot create the directory /proc/tarn"});
}

TEST_CASE("errors: --resume with nothing to resume") {
  const TinyRuns runs;
  check_refused(runs.resume("run"), {"nothing to resume", (runs / "run").string()});
  CHECK_FALSE(fs::exists(runs / "run"));
  fs::create_directory(runs / "run");
  check_refused(runs.resume("run"), {"nothing to resume", "holds no checkpoint"});
  check_refused(runs.train("run", {}, {"--resume=" + (runs / "elsewhere").string()}),
                {"elsewhere"});
  check_refused({"eval", runs / "run"}, {"holds no checkpoint"});
  CHECK(fs::is_empty(runs / "run"));
}

TEST_CASE("errors: a folder that holds another run") {
  const TinyRuns runs;
  run_ok(runs.train("run"));
  run_ok(runs.train("other"));
  const auto before = snapshot(runs / "run");
  check_refused(runs.train("run"), {"holds a run already", "--resume", "--out"});
  check_refused(runs.train("run", {}, {"--resume=" + (runs / "other").string()}),
                {"is not a checkpoint of the run in"});
  CHECK(snapshot(runs / "run") == before);
}

TEST_CASE("errors: a folder that another process trains in") {
  const TinyRuns runs;
  const Arguments endless = {"train.steps=1000000000", "train.eval_every=1000000000",
                             "train.checkpoint_every=1000000000"};
  Program first(runs.train("run", endless));
  REQUIRE(wait_until([&] { return log_of(runs / "run").size() > 500; }));
  check_refused(runs.resume("run", endless), {(runs / "run").string(), "is in use"});
  check_refused(runs.train("run", endless), {"holds a run already"});
  fs::remove(runs / "run" / "config.toml");  // as if it were still starting
  check_refused(runs.train("run", endless), {(runs / "run").string(), "is in use"});
  first.send(SIGTERM);
  CHECK(first.wait().code == 128 + SIGTERM);
  CHECK(run_program({"info", runs / "run"}).code == 0);
}

TEST_CASE("errors: a loss that is not finite stops the run and names an op") {
  const TinyRuns runs;
  // With weights of 1e30 the first product overflows; with 1e5 products of such products do.
  const std::pair<std::string, std::string> rates[] = {
      {"optimizer.lr=1e30",
       "qkv_linear at or after transformer.layers.0.attention.value_projection.bias."},
      {"optimizer.lr=1e5",
       "causal_linear_attention at or after "
       "transformer.layers.0.attention.query_projection.weight."}};
  for (const auto& [lr, where] : rates) {
    const std::string run = "run" + lr;
    const Arguments settings = {lr, "optimizer.max_grad_norm=0", "train.eval_every=50"};
    const Outcome outcome = run_program(runs.train(run, settings));
    INFO(outcome.err);
    CHECK(outcome.code == 1);
    CHECK(contains(outcome.err, "is not finite; it arose first in " + where));
    CHECK(
        contains(outcome.err, "The last checkpoint is " + latest_checkpoint(runs / run).string()));
    CHECK(run_program({"eval", runs / run}).code == 0);
    CHECK(run_program(runs.resume(run, settings)).code == 1);  // the same again
  }
}

TEST_CASE("errors: weights that an update made infinite are never saved") {
  const TinyRuns runs;
  // The first step is the last: no later loss would show what became of the weights.
  const Arguments settings = {"optimizer.lr=1e38",    "optimizer.kind=sgd",
                              "train.steps=1",        "optimizer.weight_decay=1000",
                              "optimizer.momentum=0", "optimizer.max_grad_norm=100"};
  const Outcome outcome = run_program(runs.train("run", settings));
  INFO(outcome.err);
  CHECK(outcome.code == 1);
  CHECK(contains(outcome.err, "is not finite"));
  CHECK(latest_checkpoint(runs / "run").filename() == "step_000000000");
  CHECK(run_program({"eval", runs / "run"}).code == 0);
}

// A file system of its own, small enough to fill; only where the tests may mount one.
class SmallDisk {
 public:
  explicit SmallDisk(const fs::path& folder) : folder_(folder) {
    fs::create_directories(folder);
    mounted_ = mount("tarn-test", folder.c_str(), "tmpfs", 0, "size=1m") == 0;
  }
  ~SmallDisk() {
    if (mounted_) umount2(folder_.c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  bool mounted() const { return mounted_; }
  bool enlarge() const {
    return mount("tarn-test", folder_.c_str(), "tmpfs", MS_REMOUNT, "size=64m") == 0;
  }

 private:
  fs::path folder_;
  bool mounted_ = false;
};

TEST_CASE(
    "errors: a disk that fills up leaves what was saved, and the run goes on with more room") {
  const TinyRuns runs;
  const SmallDisk disk(runs / "disk");
  if (!disk.mounted()) {
    MESSAGE("skipped: this process may not mount a small file system; the fault tests cover it");
    return;
  }
  const Arguments settings = {"train.keep_last=1000", "train.checkpoint_every=1"};
  check_refused(runs.train("disk/run", settings),
                {"tarn: cannot ", "No space left on device", (runs / "disk/run").string()});
  const fs::path latest = latest_checkpoint(runs / "disk/run");
  CHECK(run_program({"info", runs / "disk/run"}).code == 0);
  check_refused(runs.resume("disk/run", settings), {"No space left on device"});
  CHECK(latest_checkpoint(runs / "disk/run") == latest);
  REQUIRE(disk.enlarge());
  run_ok(runs.resume("disk/run", settings));
  run_ok(runs.train("whole", settings));
  CHECK(run_difference(runs / "whole", runs / "disk/run") == "");
}

}  // namespace
}  // namespace tarn::test
