// The first line of a command that computes says on what.
#include <doctest/doctest.h>

#include "core/device_runtime.h"
#include "kernels/backend.h"
#include "tests/support/paths.h"
#include "tests/support/program.h"
#include "tests/support/temp_dir.h"

namespace tarn::train {
namespace {

std::string cpu() { return "device: cpu (" + kernels::cpu_backend().processor + ", "; }

std::string config() { return (test::source_dir() / "experiments/copy_task/quick.toml").string(); }

TEST_CASE("device: training, evaluation and benchmarks begin with it") {
  const test::TempDir dir(test::fast_directory());
  const std::string run = (dir.path() / "run").string();
  const test::Outcome trained =
      test::run_program({"train", config(), "--out", run, "--set", "train.steps=1", "--set",
                         "train.batch_size=2", "--set", "train.eval_batches=1"});
  CHECK(trained.code == 0);
  CHECK(trained.err.starts_with(cpu()));
  CHECK(trained.err.find(", 1 thread)\n") < trained.err.find('\n'));
  const test::Outcome evaluated = test::run_program({"eval", run, "--json"});
  CHECK(evaluated.code == 0);
  CHECK(evaluated.err.starts_with(cpu()));
  CHECK(evaluated.out.starts_with("{"));
  CHECK(test::run_program({"bench", "gemm", "--rows", "8"}).err.starts_with(cpu()));
}

TEST_CASE("device: cuda is named as the driver has it, or refused before anything is made") {
  const test::TempDir dir(test::fast_directory());
  const std::string run = (dir.path() / "run").string();
  const test::Outcome outcome =
      test::run_program({"train", config(), "--out", run, "--set", "run.device=cuda", "--set",
                         "train.steps=1", "--set", "train.batch_size=1"});
  const DeviceRuntime* cuda = device_runtime(DeviceKind::cuda);
  if (cuda != nullptr && cuda->count() > 0) {
    const std::string name = kernels::describe(Device::cuda(0));
    CHECK(name == "cuda:0 " + cuda->describe(0));
    CHECK(outcome.err.starts_with("device: " + name + "\n"));
  } else {
    CHECK(outcome.code == 2);
    CHECK(outcome.err.find("device cuda:0 is not available: ") != std::string::npos);
    CHECK(!std::filesystem::exists(run));
  }
}

}  // namespace
}  // namespace tarn::train
