// The images task from the command line: training on small images, its splits, resuming, `tarn
// trace` against f64, and what people get wrong.
#include "train/tasks/images.h"

#include <nlohmann/json.hpp>

#include "autograd/cross_entropy.h"
#include "autograd/logistic_mixture.h"
#include "core/check.h"
#include "data/drawn_images.h"
#include "tests/nn/tokens.h"
#include "tests/reference/logistic_mixture.h"
#include "tests/reference/ops.h"
#include "tests/train/json_lines.h"
#include "tests/train/tiny_run.h"

namespace tarn::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// Images of 8 x 8 that get brighter from value to value, each from a beginning of its own.
data::ImageSet ramps(std::int64_t count) {
  data::ImageSet set{{8, 8, 1}, count, {}, {}};
  for (std::int64_t n = 0; n < count; ++n) {
    for (std::int64_t i = 0; i < 64; ++i) {
      set.pixels.push_back(static_cast<std::uint8_t>(3 * i + n));
    }
    set.labels.push_back(0);
  }
  return set;
}

// 30 to train on, 11 held out, 13 to test.
class ImageRuns : public TinyRuns {
 public:
  ImageRuns() {
    data::write_image_folder(folder(), ramps(41), ramps(13));
    write_text(config(), config_text(folder()));
  }
  fs::path folder() const { return *this / "images"; }

  static std::string config_text(const fs::path& folder) {
    return message("[task]\nkind = \"images\"\ndata = \"", folder.string(),
                   "\"\nsequence_length = 63\nmixtures = 2\nvalidation = 11\n\n"
                   "[model]\nlayers = 1\nheads = 2\nhead_dim = 8\n\n"
                   "[optimizer]\nkind = \"adam\"\nlr = 1e-2\n\n"
                   "[train]\nbatch_size = 4\nsteps = 40\neval_every = 10\neval_batches = 2\n"
                   "checkpoint_every = 7\nkeep_last = 2\nlog_every = 3\n");
  }
};

json evaluated(const fs::path& run, const Arguments& more = {}) {
  Arguments arguments{"eval", run, "--json"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return json::parse(run_ok(arguments).out);
}

TEST_CASE("images: training lowers the loss, with either head and either attention") {
  const ImageRuns runs;
  for (const char* head : {"mixture", "categorical"}) {
    for (const char* attention : {"causal-linear", "full"}) {
      const std::string run = message(head, attention);
      CAPTURE(run);
      const Outcome outcome = run_ok(
          runs.train(run, {message("model.head=", head), message("model.attention=", attention),
                           "model.dropout=0", "train.steps=100", "train.log_every=1"}));
      CHECK(contains(outcome.err, "over the 63 predicted values"));
      const std::vector<json> lines = json_lines(log_of(runs / run));
      const auto bits = [&](const json& metrics) -> double {
        CHECK(metrics["bits_per_dim"] ==
              doctest::Approx(metrics["loss"].get<double>() / std::log(2.0)));
        return metrics["bits_per_dim"];
      };
      CHECK(bits(lines.back()["evaluation"]) < bits(lines.front()) - 0.5);
    }
  }
}

TEST_CASE("images: a run that was stopped and resumed ends in the bytes of one that was not") {
  const ImageRuns runs;
  for (const char* head : {"model.head=mixture", "model.head=categorical"}) {
    CAPTURE(head);
    const std::string whole = message("whole", head), parts = message("parts", head);
    run_ok(runs.train(whole, {head, "train.steps=20"}));
    run_ok(runs.train(parts, {head, "train.steps=10"}));
    // The folder may have moved.
    const fs::path moved = runs / message("moved", head);
    fs::copy(runs.folder(), moved);
    run_ok(runs.resume(parts, {head, "train.steps=20", message("task.data=", moved.string())}));
    CHECK(run_difference(runs / whole, runs / parts) == "");
  }
}

TEST_CASE("images: eval takes the whole of a split, whatever the batches") {
  const ImageRuns runs;
  run_ok(runs.train("run", {"train.steps=10", "train.eval_batches=100"}));
  const json test = evaluated(runs / "run"),
             validation = evaluated(runs / "run", {"--split", "validation"});
  CHECK(test["split"] == "test");
  CHECK(contains(test["note"], "its first value is not scored"));
  CHECK(test["loss"] != validation["loss"]);
  const json logged = json_lines(log_of(runs / "run")).back()["evaluation"];
  CHECK(logged["loss"] == validation["loss"]);
  const json other = evaluated(runs / "run", {"--set", "train.batch_size=5"});
  CHECK(other["loss"].get<double>() == doctest::Approx(test["loss"].get<double>()).epsilon(1e-6));
  const Outcome text = run_ok({"eval", runs / "run"});
  CHECK(contains(text.out, "bits_per_dim "));
  CHECK(contains(text.out, "\nbits_per_dim: over the 63 predicted values of an image"));
}

TEST_CASE("images: eval as an RNN gives what all positions at once give, and bf16 nearly that") {
  const ImageRuns runs;
  const auto bits = [&](const char* run, const Arguments& more) -> double {
    return evaluated(runs / run, more)["bits_per_dim"];
  };
  for (const char* head : {"mixture", "categorical"}) {
    for (const char* attention : {"causal-linear", "full"}) {
      const std::string run = message(head, attention);
      CAPTURE(run);
      run_ok(runs.train(run, {message("model.head=", head), message("model.attention=", attention),
                              "train.steps=20"}));
      const double expected = bits(run.c_str(), {});
      CHECK(std::abs(bits(run.c_str(), {"--recurrent"}) - expected) < 1e-5);
      const double rounded = bits(run.c_str(), {"--recurrent", "--set", "model.weights=bf16"});
      CHECK(rounded != expected);
      CHECK(std::abs(rounded - expected) < 0.02);
    }
  }
}

TEST_CASE("images: eval of the first images, at once and as an RNN") {
  const ImageRuns runs;
  run_ok(runs.train("run", {"train.steps=10"}));
  const auto bits = [&](const char* count, const Arguments& more) -> double {
    Arguments arguments{"--count", count};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const json line = evaluated(runs / "run", arguments);
    CHECK(line["count"] == std::stoi(count));
    return line["bits_per_dim"];
  };
  const double all = evaluated(runs / "run")["bits_per_dim"];
  CHECK(bits("13", {}) == all);
  const double seven = bits("7", {});
  CHECK(seven != all);
  CHECK(std::abs(bits("7", {"--recurrent"}) - seven) < 1e-5);
  CHECK(std::abs(bits("7", {"--set", "train.batch_size=1"}) - seven) < 1e-5);
}

// A model with fresh weights and a recorded batch of two steps, as files; no images anywhere.
class Recorded {
 public:
  explicit Recorded(const char* head)
      : config_(train::parse_config(ImageRuns::config_text(""), "config.toml",
                                    {message("model.head=", head)})) {
    write_text(dir_ / "config.toml", train::to_toml(config_));
    nn::SequencePredictor model(build_of(), train::image_predictor_options(config_));
    NamedTensors weights;
    for (const ad::Parameter* p : model.parameters()) weights.emplace_back(p->name(), p->value());
    write_safetensors(dir_ / "weights.safetensors", weights);
    x_ = cast(random_tokens({2, 3, 63}, 256, "x"), DType::i64);
    values_ = random_tokens({2, 3, 63}, 256, "y");
    y_ = Tensor::empty(x_.shape(), DType::f32, Device::cpu());
    for (std::int64_t i = 0; i < y_.elements(); ++i) {
      const auto value = static_cast<float>(get(values_, i));
      set(y_, i, static_cast<double>(value / 255.0F * 2.0F - 1.0F));
    }
  }

  Outcome trace(const Tensor& x, const Tensor& y, const Arguments& more = {}) const {
    NamedTensors batch{{"x", x}};
    if (y.defined()) batch.emplace_back("y", y);
    write_safetensors(dir_ / "batch.safetensors", batch);
    Arguments arguments{
        "trace",   dir_ / "config.toml",       "--weights", dir_ / "weights.safetensors",
        "--batch", dir_ / "batch.safetensors", "--out",     out()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_program(arguments);
  }

  // The same in f64: logits, loss and the gradients by name.
  NamedTensors in_f64() const {
    nn::SequencePredictor model(build_of(DType::f64), train::image_predictor_options(config_));
    const SafetensorsFile weights(dir_ / "weights.safetensors");
    for (ad::Parameter* p : model.parameters()) {
      copy_into(cast(weights.read(p->name()), DType::f64), p->value());
    }
    ad::Tape tape;
    Tensor logits, loss;
    {
      const ad::Recording recording = tape.record();
      logits =
          model.forward(cast(x_.select(0, 0), DType::i32), {.causal = true, .lengths = {}}, {});
      const Tensor y = copy_of(y_.select(0, 0)), values = copy_of(values_.select(0, 0));
      const Tensor ones = full(values.shape(), DType::f64, 1);
      loss = config_.model.head == "mixture" ? ad::logistic_mixture(logits, y).loss
                                             : ad::cross_entropy(logits, values, ones).loss;
      const Tensor expected = config_.model.head == "mixture"
                                  ? reference::logistic_mixture(logits, y).loss
                                  : reference::cross_entropy(logits, values, ones).loss;
      CHECK(relative_difference(loss, expected) < 1e-12);
    }
    tape.backward(loss);
    NamedTensors out{{"logits", logits}, {"loss", loss}};
    for (const ad::Parameter* p : model.parameters()) {
      out.emplace_back("grad." + p->name(), copy_of(p->grad()));
    }
    return out;
  }

  fs::path out() const { return dir_ / "out.safetensors"; }
  const Tensor& x() const { return x_; }
  const Tensor& y() const { return y_; }

 private:
  TempDir dir_{fast_directory()};
  train::Config config_;
  Tensor x_, y_, values_;
};

TEST_CASE("images: trace gives the logits, loss and gradients that f64 gives, without any data") {
  for (const char* head : {"mixture", "categorical"}) {
    CAPTURE(head);
    const Recorded recorded(head);
    const Outcome outcome = recorded.trace(recorded.x(), recorded.y(), {"--steps", "2"});
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
    const SafetensorsFile ours(recorded.out());
    double largest = 0, difference = 0;
    for (const auto& [name, expected] : recorded.in_f64()) {
      if (name.starts_with("grad.")) {
        largest = std::max(largest, max_abs(expected));
        difference = std::max(difference, max_abs_difference(ours.read(name), expected));
      } else {
        CHECK(relative_difference(ours.read(name), expected) < 1e-5);
      }
    }
    CHECK(difference < 1e-5 * largest);
    CHECK(ours.read("losses").shape() == Shape{2});
    CHECK(get(ours.read("losses"), 0) == doctest::Approx(get(ours.read("loss"), 0)));
  }
}

TEST_CASE("images: recorded batches that do not fit are an error that names them") {
  const Recorded recorded("mixture");
  const auto refused = [&](const Tensor& x, const Tensor& y, const char* text) {
    const Outcome outcome = recorded.trace(x, y);
    INFO(outcome.err);
    CHECK(outcome.code == 2);
    CHECK(contains(outcome.err, "batch.safetensors: "));
    CHECK(contains(outcome.err, text));
    CHECK_FALSE(fs::exists(recorded.out()));
  };
  const Tensor x = recorded.x(), y = recorded.y();
  refused(x, {}, "\n  y is missing");
  refused(x, cast(y, DType::f64), "\n  y is f64 [2, 3, 63], expected f32 [2, 3, 63]");
  refused(x, full({2, 3, 62}, DType::f32, 0), "\n  y is f32 [2, 3, 62], expected f32 [2, 3, 63]");
  refused(full({1, 1, 64}, DType::i64, 0), full({1, 1, 64}, DType::f32, 0),
          "\n  x has 64 positions; task.sequence_length is 63");
  refused(full({1, 1, 63}, DType::i64, 256), full({1, 1, 63}, DType::f32, 0), "x holds 256; ");
  refused(full({1, 1, 63}, DType::i64, -1), full({1, 1, 63}, DType::f32, 0), "x holds -1; ");
  refused(full({1, 1, 63}, DType::i64, 1), full({1, 1, 63}, DType::f32, 1.5), "y holds 1.5; ");
}

TEST_CASE("images: errors before a folder is made") {
  const ImageRuns runs;
  const auto refused = [&](const Arguments& settings, const Arguments& parts) {
    check_refused(runs.train("run", settings), parts);
    CHECK_FALSE(fs::exists(runs / "run"));
  };
  refused({"model.weights=bf16"}, {"model.weights is \"bf16\", which is for generation",
                                   "training runs all positions at once"});
  refused({"model.weights=f16"}, {"model.weights", "f32, bf16"});
  refused({"task.data="}, {"task.data is empty", "--set task.data=FOLDER"});
  refused({message("task.data=", (runs / "none").string())}, {(runs / "none").string()});
  refused({"task.sequence_length=64"}, {runs.folder().string(), "images of 8x8 have 64 values",
                                        "task.sequence_length is 64 and must be 63"});
  refused({"task.validation=41"}, {"task.validation"});
  refused({"model.attention=linear"}, {"sees the values that the images task asks for"});
  refused({"model.head=softmax"}, {"model.head", "mixture, categorical"});
  write_text(runs.folder() / "train-images-idx3-ubyte.gz", "no gzip");
  refused({}, {"train-images-idx3-ubyte.gz"});
}

TEST_CASE("images: weights and a way to evaluate that do not go together") {
  const ImageRuns images;
  const TinyRuns copies;
  run_ok(images.train("run", {"train.steps=1"}));
  run_ok(images.train("lsh", {"train.steps=1", "model.attention=lsh"}));
  run_ok(copies.train("run", {"train.steps=1"}));
  const std::string bf16 = "model.weights=bf16";
  check_refused({"eval", images / "run", "--set", bf16},
                {"tarn eval without --recurrent runs all"});
  check_refused({"eval", images / "lsh", "--recurrent"},
                {"--recurrent: attention \"lsh\" cannot be run step by step"});
  check_refused({"eval", images / "run", "--count", "14"}, {"--count 14: the test images are 13"});
  check_refused({"eval", copies / "run", "--recurrent"},
                {"are for models of images; task.kind is"});
  check_refused({"eval", copies / "run", "--count", "3"},
                {"are for models of images; task.kind is"});
  check_refused(images.resume("run", {"train.steps=2", bf16}),
                {"training runs all positions at once"});
}

TEST_CASE("images: eval of a split that is not there, and of another task's checkpoint") {
  const ImageRuns images;
  const TinyRuns copies;
  run_ok(images.train("run", {"train.steps=1"}));
  run_ok(copies.train("run", {"train.steps=1"}));
  check_refused({"eval", images / "run", "--split", "train"}, {"--split"});
  check_refused({"eval", copies / "run", "--split", "validation"}, {"no other split than test"});
  check_refused({"eval", images / "run", "--set", "task.data="}, {"task.data is empty"});
  check_refused(
      {"eval", copies / "run", "--set", "task.kind=images", "--set", "task.validation=5", "--set",
       "task.sequence_length=63", "--set", message("task.data=", images.folder().string())},
      {"does not fit the model of this config"});
  check_refused({"eval", images / "run", "--set", "model.head=categorical"},
                {"predictor.weight is f32"});
}

}  // namespace
}  // namespace tarn::test
