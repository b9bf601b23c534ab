// Runs whose products are of bf16. The emulation stands for the processor's instructions, so that
// the tests mean the same on every machine.
#include "core/check.h"
#include "kernels/backend.h"
#include "tests/train/tiny_run.h"

namespace tarn::test {
namespace {

const Arguments kBf16 = {"model.compute=bf16-emulated", "train.steps=20"};

}  // namespace

TEST_CASE("compute: bf16 has its own bits, for any number of threads and after a resumption") {
  const TinyRuns runs;
  const Outcome first = run_ok(runs.train("whole", kBf16));
  CHECK(contains(first.err, ", bf16-emulated products\n"));
  run_ok(runs.train("threads", with(kBf16, {"run.threads=3"})));
  CHECK(run_difference(runs / "whole", runs / "threads") == "");
  run_ok(runs.train("resumed", with(kBf16, {"train.steps=9"})));
  run_ok(runs.resume("resumed", kBf16));
  // The log knows of the stop, since a run evaluates at its end.
  for (const char* file : {"model.safetensors", "optimizer.safetensors"}) {
    CHECK(difference(latest_checkpoint(runs / "whole") / file,
                     latest_checkpoint(runs / "resumed") / file) == "");
  }
  run_ok(runs.train("f32", {"train.steps=20"}));
  CHECK(run_difference(runs / "whole", runs / "f32") != "");
}

TEST_CASE("compute: a processor's instructions give the bits of the emulation") {
  if (!kernels::cpu_has_bf16_products()) return;
  const TinyRuns runs;
  run_ok(runs.train("emulated", kBf16));
  run_ok(runs.train("native", with(kBf16, {"model.compute=bf16"})));
  CHECK(run_difference(runs / "emulated", runs / "native") == "");
}

TEST_CASE("compute: checkpoints are the same files, and each type goes on from the other's") {
  const TinyRuns runs;
  run_ok(runs.train("bf16", kBf16));
  run_ok(runs.train("f32", {"train.steps=20"}));
  const auto size = [&](const char* run) {
    return std::filesystem::file_size(latest_checkpoint(runs / run) / "model.safetensors");
  };
  CHECK(size("bf16") == size("f32"));
  run_ok(runs.resume("bf16", {"train.steps=25"}));
  run_ok(runs.resume("f32", with(kBf16, {"train.steps=25"})));
  run_ok({"eval", runs / "bf16", "--set", "model.compute=bf16-emulated"});
}

TEST_CASE("compute: an LSTM, and what is no type, are refused by the key") {
  const TinyRuns runs;
  const auto refused = [&](const Arguments& settings, const std::string& part) {
    const Outcome outcome = run_program(runs.train("refused", settings));
    CHECK(outcome.code == 2);
    CHECK(contains(outcome.err, part));
    CHECK(!std::filesystem::exists(runs / "refused"));
  };
  refused({"model.compute=f16"}, "f32, bf16, bf16-emulated");
  refused({"model.compute=bf16", "model.kind=bilstm", "task.kind=speech"},
          "model.compute is \"bf16\", which is for transformers");
}

}  // namespace tarn::test
