// `tarn trace` on the authors' model and batches: what a person who ports weights sees.
#include "core/check.h"
#include "core/io/safetensors.h"
#include "tests/support/optional_data.h"
#include "tests/support/paths.h"
#include "tests/support/random_tensor.h"
#include "tests/train/tiny_run.h"
#include "tests/train/weights/golden_file.h"

namespace tarn::test {
namespace {

namespace fs = std::filesystem;

const char* const kGoldenConfig = R"([task]
sequence_length = 32

[model]
layers = 2
heads = 2
head_dim = 16
)";

class Trace {
 public:
  Trace() : dir_(fast_directory()) { write_text(config(), kGoldenConfig); }

  fs::path config() const { return dir_ / "config.toml"; }
  fs::path out() const { return dir_ / "out.safetensors"; }
  fs::path operator/(const char* name) const { return dir_ / name; }

  Outcome run(const std::string& weights, const fs::path& batch, Arguments more = {}) const {
    Arguments arguments{"trace", config(), "--weights", weights, "--batch", batch, "--out", out()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_program(arguments);
  }
  Outcome run_golden(Arguments more = {}) const {
    return run(golden_file().string() + ":state_dict.", golden_file(), std::move(more));
  }

 private:
  TempDir dir_;
};

// The tensors under a prefix by the rest of their names.
NamedTensors tensors_under(const SafetensorsFile& file, const std::string& prefix) {
  NamedTensors tensors;
  for (const auto& entry : file.entries()) {
    if (entry.name.starts_with(prefix)) {
      tensors.emplace_back(entry.name.substr(prefix.size()), file.read(entry.name));
    }
  }
  return tensors;
}

TEST_CASE("trace: logits, loss and gradients of the authors' model") {
  const Trace trace;
  const Outcome outcome = trace.run_golden();
  INFO(outcome.err);
  REQUIRE(outcome.code == 0);
  const SafetensorsFile ours(trace.out()), theirs(golden_file());
  CHECK(max_abs_difference(ours.read("logits"), theirs.read("logits")) < 5e-6);
  CHECK(std::abs(get(ours.read("loss"), 0) - get(theirs.read("loss"), 0)) < 1e-6);
  const NamedTensors expected = tensors_under(theirs, "grad.");
  CHECK(expected.size() == tensors_under(ours, "grad.").size());
  double largest = 0, difference = 0;
  for (const auto& [name, grad] : expected) {
    largest = std::max(largest, max_abs(grad));
    difference = std::max(difference, max_abs_difference(ours.read("grad." + name), grad));
  }
  CHECK(difference < 1e-5 * largest);
  CHECK(ours.find("losses") == nullptr);
}

TEST_CASE("trace: ten updates of the authors' model") {
  const Trace trace;
  const Outcome outcome = trace.run_golden({"--steps", "10"});
  INFO(outcome.err);
  REQUIRE(outcome.code == 0);
  const SafetensorsFile ours(trace.out()), theirs(golden_file());
  CHECK(max_abs_difference(ours.read("losses"), theirs.read("losses")) < 2e-6);
  const NamedTensors expected = tensors_under(theirs, "step10.");
  CHECK(expected.size() == 37);
  for (const auto& entry : expected) {
    CAPTURE(entry.first);
    CHECK(max_abs_difference(ours.read("step10." + entry.first), entry.second) < 1e-5);
  }
}

// Across the step at which RAdam begins to adapt.
TEST_CASE("trace: the whole file's parameters after one, five and six updates") {
  const fs::path data = optional_data("golden/copy_causal-linear.safetensors");
  if (data.empty()) return;
  const Trace trace;
  const SafetensorsFile theirs(data / "golden" / "copy_causal-linear.safetensors");
  for (const char* steps : {"1", "5", "6"}) {
    CAPTURE(steps);
    REQUIRE(trace.run_golden({"--steps", steps}).code == 0);
    const SafetensorsFile ours(trace.out());
    const std::string prefix = message("step", steps, ".");
    const NamedTensors expected = tensors_under(theirs, prefix);
    CHECK(expected.size() == 37);
    for (const auto& entry : expected) {
      CAPTURE(entry.first);
      CHECK(max_abs_difference(ours.read(prefix + entry.first), entry.second) < 1e-5);
    }
  }
}

TEST_CASE("trace: updates are of one recorded batch each") {
  const Trace trace;
  const Outcome outcome = trace.run_golden({"--steps", "2", "--set", "train.accumulate=2"});
  INFO(outcome.err);
  CHECK(outcome.code == 2);
  CHECK(contains(outcome.err, "train.accumulate is 2"));
  CHECK_FALSE(fs::exists(trace.out()));
  CHECK(trace.run_golden({"--set", "train.accumulate=2"}).code == 0);  // no update, no matter
}

TEST_CASE("trace: is the same each time, and differs with dropout") {
  const Trace trace;
  REQUIRE(trace.run_golden().code == 0);
  const std::string first = read_file(trace.out());
  REQUIRE(trace.run_golden().code == 0);
  CHECK(read_file(trace.out()) == first);
  REQUIRE(trace.run_golden({"--dropout"}).code == 0);
  const std::string dropped = read_file(trace.out());
  CHECK(dropped != first);
  REQUIRE(trace.run_golden({"--dropout", "--set", "run.seed=2"}).code == 0);
  CHECK(read_file(trace.out()) != dropped);
}

TEST_CASE("trace: weights that do not fit are listed all at once, and nothing is written") {
  const Trace trace;
  NamedTensors weights = tensors_under(SafetensorsFile(golden_file()), "state_dict.");
  // Two missing, one misshapen, one of another type, and one too many, which is no harm.
  std::erase_if(weights, [](const auto& entry) {
    return entry.first == "predictor.bias" || entry.first == "transformer.layers.1.norm2.weight";
  });
  for (auto& [name, tensor] : weights) {
    if (name == "transformer.norm.bias") tensor = full({31}, DType::f32, 0);
    if (name == "transformer.norm.weight") tensor = full({32}, DType::i32, 1);
  }
  weights.emplace_back("extra", full({3}, DType::f32, 1));
  write_safetensors(trace / "weights.safetensors", weights);
  const Outcome outcome = trace.run(trace / "weights.safetensors", golden_file());
  INFO(outcome.err);
  CHECK(outcome.code == 2);
  CHECK(contains(outcome.err, "weights.safetensors does not fit the model of this config"));
  CHECK(contains(outcome.err, "\n  predictor.bias is missing"));
  CHECK(contains(outcome.err, "\n  transformer.layers.1.norm2.weight is missing"));
  CHECK(contains(outcome.err,
                 "\n  transformer.norm.bias is f32 [31] in the file and f32 [32] in the model"));
  CHECK(contains(outcome.err,
                 "\n  transformer.norm.weight is i32 [32] in the file and f32 [32] in the model"));
  CHECK_FALSE(contains(outcome.err, "extra"));
  CHECK_FALSE(fs::exists(trace.out()));
}

TEST_CASE("trace: extra tensors, and positions that are missing, are no harm") {
  const Trace trace;
  NamedTensors weights = tensors_under(SafetensorsFile(golden_file()), "state_dict.");
  std::erase_if(weights, [](const auto& entry) { return entry.first == "pos_embedding.pe"; });
  weights.emplace_back("optimizer.something", full({3}, DType::i64, 1));
  write_safetensors(trace / "weights.safetensors", weights);
  const Outcome outcome = trace.run(trace / "weights.safetensors", golden_file());
  INFO(outcome.err);
  REQUIRE(outcome.code == 0);
  CHECK(max_abs_difference(SafetensorsFile(trace.out()).read("logits"),
                           SafetensorsFile(golden_file()).read("logits")) < 5e-6);
}

TEST_CASE("trace: batches that do not fit are an error that names them") {
  const Trace trace;
  const std::string weights = golden_file().string() + ":state_dict.";
  const auto check = [&](const Outcome& outcome, const Arguments& parts) {
    INFO(outcome.err);
    CHECK(outcome.code == 2);
    for (const std::string& part : parts) {
      CAPTURE(part);
      CHECK(contains(outcome.err, part));
    }
    CHECK_FALSE(fs::exists(trace.out()));
  };
  const fs::path batch = trace / "batch.safetensors";
  write_safetensors(
      batch, {{"x", full({1, 2, 32}, DType::i64, 1)}, {"mask", full({1, 2, 31}, DType::f32, 1)}});
  check(trace.run(weights, batch), {"batch.safetensors", "\n  y is missing",
                                    "\n  mask is f32 [1, 2, 31], expected f32 [1, 2, 32]"});
  write_safetensors(batch, {{"x", full({1, 2, 32}, DType::i64, 11)},
                            {"y", full({1, 2, 32}, DType::i64, 1)},
                            {"mask", full({1, 2, 32}, DType::f32, 1)}});
  check(trace.run(weights, batch), {"batch.safetensors", "x holds 11", "0 to task.symbols = 10"});
  check(trace.run_golden({"--steps", "11"}), {"holds 10 batches", "--steps 11"});
  check(trace.run(weights, trace / "none"), {"cannot open", "none"});
  check(trace.run(trace / "none", golden_file()), {"cannot open", "none"});
  check(trace.run(golden_file(), golden_file()), {"predictor.bias is missing"});
  check(trace.run(weights, golden_file(), {"--set", "task.sequence_length=16"}),
        {"x has 32 positions; task.sequence_length is 16"});
}

}  // namespace
}  // namespace tarn::test
