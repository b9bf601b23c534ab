// `tarn train --weights`: runs that start from given weights, as people who port or go on with a
// trained model do.
#include <bit>
#include <cmath>

#include "core/check.h"
#include "core/io/safetensors.h"
#include "tests/support/paths.h"
#include "tests/support/random_tensor.h"
#include "tests/train/tiny_run.h"
#include "tests/train/weights/golden_file.h"

namespace tarn::test {
namespace {

namespace fs = std::filesystem;

// The model of the golden file.
const Arguments kGoldenModel{"task.sequence_length=32", "model.layers=2", "model.heads=2",
                             "model.head_dim=16"};

// Refused with all the parts, before a folder is made.
void check_weights(const TinyRuns& runs, const std::string& weights, const Arguments& settings,
                   const std::vector<std::string>& parts) {
  check_refused(runs.train("run", settings, {"--weights", weights}), parts);
  CHECK_FALSE(fs::exists(runs / "run"));
}

TEST_CASE("weights: a run of no steps holds the authors' weights, and can be evaluated") {
  const TinyRuns runs;
  const std::string prefix = "state_dict.";
  run_ok(runs.train("run", with(kGoldenModel, {"train.steps=0"}),
                    {"--weights", golden_file().string() + ":" + prefix}));
  const fs::path checkpoint = runs / "run" / "checkpoints" / "step_000000000";
  const SafetensorsFile ours(checkpoint / "model.safetensors"), theirs(golden_file());
  std::size_t compared = 0;
  for (const auto& entry : theirs.entries()) {
    if (!entry.name.starts_with(prefix)) continue;
    CAPTURE(entry.name);
    CHECK(max_abs_difference(ours.read(entry.name.substr(prefix.size())),
                             theirs.read(entry.name)) == 0);
    ++compared;
  }
  CHECK(compared == ours.entries().size());
  CHECK(contains(run_ok({"eval", runs / "run"}).out, "step 0  loss "));
}

TEST_CASE("weights: a model of images needs no data to be given weights and to generate") {
  const TinyRuns runs;
  write_text(runs.config(),
             "[task]\nkind = \"images\"\ndata = \"none\"\nsequence_length = 63\n\n"
             "[model]\nlayers = 1\nheads = 2\nhead_dim = 8\nhead = \"categorical\"\n");
  run_ok(runs.train("fresh", {"train.steps=0"}));
  run_ok(runs.train("given", {"train.steps=0", "run.seed=2"}, {"--weights", runs / "fresh"}));
  for (const char* run : {"fresh", "given"}) {
    run_ok({"generate", runs / run, "--count", "2", "--out", runs / (std::string(run) + "_out")});
  }
  CHECK(difference(runs / "fresh_out" / "0001.png", runs / "given_out" / "0001.png") == "");
  // Steps would need it.
  check_weights(runs, runs / "fresh", {}, {"none"});
}

TEST_CASE("weights: of a run, its best checkpoint's; of a checkpoint, its own") {
  const TinyRuns runs;
  // A rate that spoils what was learnt, so that the best is not the latest.
  run_ok(runs.train("first", {"train.steps=30", "optimizer.lr=0.02", "train.keep_last=9"}));
  const fs::path checkpoints = runs / "first" / "checkpoints";
  std::string best = read_file(checkpoints / "best");
  best.erase(best.find_last_not_of('\n') + 1);
  const fs::path other = checkpoints / "step_000000007";
  REQUIRE(best != other.filename());

  run_ok(runs.train("from_run", {"train.steps=0"}, {"--weights", runs / "first"}));
  CHECK(difference(latest_checkpoint(runs / "from_run") / "model.safetensors",
                   checkpoints / best / "model.safetensors") == "");
  run_ok(runs.train("from_checkpoint", {"train.steps=0"}, {"--weights", other}));
  CHECK(difference(latest_checkpoint(runs / "from_checkpoint") / "model.safetensors",
                   other / "model.safetensors") == "");
}

TEST_CASE("weights: what starts from them is a run as any other, and is resumed without them") {
  const TinyRuns runs;
  const Arguments settings{"train.steps=20", "schedule.kind=cosine"};
  run_ok(runs.train("first", {"train.steps=20"}));
  const Arguments from{"--weights", runs / "first"};
  run_ok(runs.train("whole", settings, from));
  run_ok(runs.train("fresh", settings));
  CHECK(run_difference(runs / "whole", runs / "fresh") != "");
  // The same from a checkpoint half way, and from the one before the first step.
  for (const char* step : {"step_000000014", "step_000000000"}) {
    CAPTURE(step);
    const std::string name = std::string("again_") + step;
    const Arguments keep = with(settings, {"train.keep_last=9"});
    run_ok(runs.train(name, keep, from));
    run_ok(runs.train(name, keep, {"--resume=" + (runs / name / "checkpoints" / step).string()}));
    CHECK(run_difference(runs / "whole", runs / name) == "");
  }
  check_refused(runs.train("whole", settings, with(from, {"--resume"})),
                {"--weights excludes --resume"});
}

TEST_CASE("weights: --dry-run reads them too, and writes nothing") {
  const TinyRuns runs;
  run_ok(runs.train("first", {"train.steps=2"}));
  run_ok(runs.train("run", {}, {"--dry-run", "--weights", runs / "first"}));
  check_refused(runs.train("run", {}, {"--dry-run", "--weights", "none"}), {"cannot open none"});
  CHECK_FALSE(fs::exists(runs / "run"));
}

// All tensors of a file in another type, as other programs save them.
void write_as(DType type, const SafetensorsFile& from, const fs::path& to) {
  NamedTensors tensors;
  for (const auto& entry : from.entries()) {
    const Tensor value = from.read(entry.name);
    if (type == DType::f64) {
      tensors.emplace_back(entry.name, cast(value, type));
      continue;
    }
    const Tensor half = Tensor::empty(value.shape(), DType::bf16, Device::cpu());
    for (std::int64_t i = 0; i < value.elements(); ++i) {
      const auto bits = std::bit_cast<std::uint32_t>(value.data<float>()[i]);
      half.mutable_data<Bf16>()[i].bits = static_cast<std::uint16_t>(bits >> 16);
    }
    tensors.emplace_back(entry.name, half);
  }
  write_safetensors(to, tensors);
}

TEST_CASE("weights: of f64 or bf16 are converted, and that is said in a line") {
  const TinyRuns runs;
  run_ok(runs.train("first", {"train.steps=3"}));
  const SafetensorsFile first(latest_checkpoint(runs / "first") / "model.safetensors");
  for (const auto& row : {std::pair(DType::f64, "F64"), std::pair(DType::bf16, "BF16")}) {
    const DType type = row.first;
    const char* const name = row.second;
    CAPTURE(name);
    write_as(type, first, runs / name);
    const std::string run = message("run_", name);
    const Outcome outcome = run_ok(runs.train(run, {"train.steps=0"}, {"--weights", runs / name}));
    const std::string expected =
        message("note: ", (runs / name).string(), ": pos_embedding.pe is ", name_of(type),
                " [1, 16, 8] there, and computed instead; ", first.entries().size() - 1,
                " tensors of ", name, " converted to f32\n");
    INFO(outcome.err);
    CHECK(contains(outcome.err, expected));
    const SafetensorsFile ours(latest_checkpoint(runs / run) / "model.safetensors");
    for (const auto& entry : ours.entries()) {
      CAPTURE(entry.name);
      REQUIRE(entry.stored == "F32");
      const Tensor a = ours.read(entry.name), b = first.read(entry.name);
      const bool exact = type == DType::f64 || entry.name == "pos_embedding.pe";
      for (std::int64_t i = 0; i < a.elements(); ++i) {
        const float x = a.data<float>()[i], y = b.data<float>()[i];
        if (exact ? x != y : std::abs(x - y) > std::abs(y) / 128) FAIL_CHECK(x, " is not ", y);
      }
    }
  }
}

TEST_CASE("weights: positions of another length are computed, not taken") {
  const TinyRuns runs;
  run_ok(runs.train("short", {"train.steps=2"}));
  const Outcome outcome =
      run_ok(runs.train("long", {"train.steps=0", "task.sequence_length=24"},
                        {"--weights", latest_checkpoint(runs / "short") / "model.safetensors"}));
  CHECK(contains(outcome.err, "pos_embedding.pe is f32 [1, 16, 8] there, and computed instead"));
  run_ok(runs.train("fresh", {"train.steps=0", "task.sequence_length=24"}));
  const SafetensorsFile ours(latest_checkpoint(runs / "long") / "model.safetensors");
  const SafetensorsFile computed(latest_checkpoint(runs / "fresh") / "model.safetensors");
  CHECK(max_abs_difference(ours.read("pos_embedding.pe"), computed.read("pos_embedding.pe")) == 0);
  // So a checkpoint can be evaluated on longer sequences too.
  run_ok({"eval", runs / "short", "--set", "task.sequence_length=24"});
}

TEST_CASE("weights: another kind of file is named as what it is") {
  const TinyRuns runs;
  const fs::path file = runs / "weights";
  write_text(file, "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n");
  check_weights(runs, file, {}, {"weights: not a safetensors file but a git LFS pointer"});
  write_text(file, "<!doctype html><title>Sign in</title>");
  check_weights(runs, file.string() + ":state_dict.", {},
                {"weights: not a safetensors file but an HTML page"});
  write_text(file, read_file(runs.config()));
  check_weights(runs, file, {}, {"weights: not a safetensors file but text", "\"[task]\""});
}

TEST_CASE("weights: what is absent, does not fit or is not finite is named") {
  const TinyRuns runs;
  check_weights(runs, runs / "none.safetensors", {}, {"none.safetensors", "No such file"});
  fs::create_directory(runs / "empty");
  check_weights(runs, runs / "empty", {}, {"empty holds no checkpoint"});
  check_weights(runs, golden_file(), kGoldenModel, {"\n  predictor.bias is missing"});
  check_weights(runs, golden_file().string() + ":state_dict.", {},
                {"(tensors under \"state_dict.\") does not fit the model of this config",
                 "transformer.norm.bias is f32 [32] in the file and f32 [16] in the model"});

  run_ok(runs.train("first", {"train.steps=1"}));
  const SafetensorsFile file(latest_checkpoint(runs / "first") / "model.safetensors");
  NamedTensors counts;
  for (const auto& entry : file.entries()) {
    const bool bias = entry.name == "predictor.bias";
    counts.emplace_back(entry.name,
                        bias ? cast(file.read(entry.name), DType::i64) : file.read(entry.name));
  }
  write_safetensors(runs / "counts.safetensors", counts);
  check_weights(runs, runs / "counts.safetensors", {},
                {"\n  predictor.bias is i64 [11] in the file and f32 [11] in the model"});
  NamedTensors spoilt;
  for (const auto& entry : file.entries()) {
    spoilt.emplace_back(entry.name, file.read(entry.name));
    if (entry.name == "predictor.bias") set(spoilt.back().second, 2, std::nan(""));
  }
  write_safetensors(runs / "spoilt.safetensors", spoilt);
  check_weights(runs, runs / "spoilt.safetensors", {},
                {"spoilt.safetensors: predictor.bias is not finite; take weights"});

  // A checkpoint is checked as a whole, not only the tensors that are wanted.
  const fs::path model = latest_checkpoint(runs / "first") / "model.safetensors";
  std::string bytes = read_file(model);
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  write_text(model, bytes);
  check_weights(runs, runs / "first", {}, {"model.safetensors is corrupt"});
}

}  // namespace
}  // namespace tarn::test
