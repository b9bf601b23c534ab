// `tarn trace` on recorded batches of speech: what f64 gives, with no audio anywhere.
#include "autograd/ctc.h"
#include "autograd/tape.h"
#include "core/io/safetensors.h"
#include "core/transfer.h"
#include "data/speech/augment.h"
#include "nn/speech_model.h"
#include "tests/nn/tokens.h"
#include "tests/reference/ctc.h"
#include "tests/train/tiny_speech.h"
#include "train/tasks/model.h"

namespace tarn::test {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kPhones = 4, kBins = 20, kStack = 2;  // those of TinySpeech

// A model with fresh weights and two steps of three utterances, the last of which has too few
// frames for its phones; padding is full of junk.
class Recorded {
 public:
  explicit Recorded(const std::string& kind)
      : settings_{kind, "speech.stack=2"},
        config_(train::load_config(speech_.runs().config(), settings_)) {
    NamedTensors weights;
    const auto fresh = model(DType::f32);
    for (const ad::Parameter* p : fresh->parameters()) weights.emplace_back(p->name(), p->value());
    write_safetensors(speech_ / "weights.safetensors", weights);
  }

  NamedTensors batch() const {
    return {{"x", random_tensor({2, 3, 33, kBins}, DType::f32, "x")},
            {"lengths", from_vector({2, 3}, {33, 20, 3, 7, 33, 1}, DType::i64)},
            {"y", from_vector({2, 3, 3}, {1, 1, 3, 2, 0, 0, 1, 2, 3, 3, 1, 0, 0, 0, 0, 2, 0, 0},
                              DType::i64)},
            {"y_lengths", from_vector({2, 3}, {3, 1, 3, 2, 0, 1}, DType::i64)}};
  }

  Outcome trace(const NamedTensors& batch, const Arguments& more = {}) const {
    const fs::path file = speech_ / "batch.safetensors";
    write_safetensors(file, batch);
    Arguments arguments{"trace",     speech_.runs().config(),
                        "--weights", speech_ / "weights.safetensors",
                        "--batch",   file,
                        "--out",     out()};
    for (const std::string& setting : settings_) {
      arguments.insert(arguments.end(), {"--set", setting});
    }
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_program(arguments);
  }

  // The first step in f64: logits, loss and the gradients by name.
  NamedTensors in_f64() const {
    const auto exact = model(DType::f64);
    const SafetensorsFile weights(speech_ / "weights.safetensors");
    for (ad::Parameter* p : exact->parameters()) {
      copy_into(cast(weights.read(p->name()), DType::f64), p->value());
    }
    const NamedTensors recorded = batch();
    const auto first = [&](std::size_t i) { return copy_of(recorded[i].second.select(0, 0)); };
    const data::SpeechBatch stacked = data::stack_frames({first(0),
                                                          cast(first(1), DType::i32),
                                                          cast(first(2), DType::i32),
                                                          cast(first(3), DType::i32),
                                                          {}},
                                                         kStack);
    ad::Tape tape;
    Tensor logits;
    ad::Ctc ctc;
    {
      const ad::Recording recording = tape.record();
      logits = exact->forward(cast(stacked.features, DType::f64), stacked.lengths, {});
      ctc = ad::ctc(logits, stacked.labels, stacked.lengths, stacked.label_lengths);
    }
    const reference::Ctc expected =
        reference::ctc(logits, stacked.labels, stacked.lengths, stacked.label_lengths);
    CHECK(relative_difference(ctc.loss, expected.loss) < 1e-12);
    tape.backward(ctc.loss);
    NamedTensors out{{"logits", logits}, {"loss", ctc.loss}};
    for (const ad::Parameter* p : exact->parameters()) {
      if (p->has_grad()) out.emplace_back("grad." + p->name(), copy_of(p->grad()));
    }
    return out;
  }

  fs::path out() const { return speech_ / "out.safetensors"; }

 private:
  std::unique_ptr<nn::SpeechModel> model(DType dtype) const {
    if (config_.model.kind == "bilstm") {
      return std::make_unique<nn::SpeechLstm>(build_of(dtype),
                                              nn::BiLstmOptions{.input = kStack * kBins,
                                                                .hidden = config_.model.hidden,
                                                                .layers = config_.model.layers},
                                              kPhones);
    }
    return std::make_unique<nn::SpeechTransformer>(
        build_of(dtype),
        nn::SpeechTransformerOptions{.encoder = train::encoder_options(config_.model),
                                     .features = kStack * kBins,
                                     .outputs = kPhones,
                                     .max_length = config_.speech.max_frames});
  }

  TinySpeech speech_;
  std::vector<std::string> settings_;
  train::Config config_;
};

TEST_CASE("speech: trace gives the logits, loss and gradients that f64 gives") {
  for (const char* kind : {"model.attention=linear", "model.attention=full", "model.attention=lsh",
                           "model.kind=bilstm"}) {
    CAPTURE(kind);
    const Recorded recorded(kind);
    const Outcome outcome = recorded.trace(recorded.batch(), {"--steps", "2"});
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
    const SafetensorsFile ours(recorded.out());
    double largest = 0, difference = 0;
    for (const auto& entry : recorded.in_f64()) {
      CAPTURE(entry.first);
      if (entry.first.starts_with("grad.")) {
        largest = std::max(largest, max_abs(entry.second));
        difference = std::max(difference, max_abs_difference(ours.read(entry.first), entry.second));
      } else {
        CHECK(relative_difference(ours.read(entry.first), entry.second) < 1e-5);
      }
    }
    CHECK(difference < 1e-5 * largest);
    CHECK(ours.read("losses").shape() == Shape{2});
    CHECK(get(ours.read("losses"), 0) == doctest::Approx(get(ours.read("loss"), 0)));
  }
}

TEST_CASE("speech: recorded batches that do not fit are an error that names them") {
  const Recorded recorded("model.attention=linear");
  // The batch with one tensor replaced, or without it.
  const auto refused = [&](const char* name, const Tensor& tensor, const char* text) {
    NamedTensors batch;
    for (const auto& entry : recorded.batch()) {
      if (entry.first != name)
        batch.push_back(entry);
      else if (tensor.defined())
        batch.emplace_back(name, tensor);
    }
    const Outcome outcome = recorded.trace(batch);
    INFO(outcome.err);
    CHECK(outcome.code == 2);
    CHECK(contains(outcome.err, "batch.safetensors: "));
    CHECK(contains(outcome.err, text));
    CHECK_FALSE(fs::exists(recorded.out()));
  };
  refused("x", {}, "\n  x is missing");
  refused("x", {},
          "speech task are x f32 [steps, batch, frames, 20], lengths i64 [steps, batch], y");
  refused("x", full({2, 3, 33, 40}, DType::f32, 0),
          "\n  x is f32 [2, 3, 33, 40], expected f32 [2, 3, 33, 20]");
  refused("x", full({2, 33, 20}, DType::f32, 0),
          "\n  x is f32 [2, 33, 20], expected f32 [steps, batch, frames, 20]");
  refused("lengths", full({2, 2}, DType::i64, 1), "\n  lengths is i64 [2, 2], expected i64 [2, 3]");
  refused("y", full({2, 3, 3}, DType::i32, 1), "\n  y is i32 [2, 3, 3], expected i64 [2, 3, 3]");
  refused("y_lengths", {}, "\n  y_lengths is missing");
  refused("lengths", full({2, 3}, DType::i64, 0), "lengths holds 0; lengths are 1 to the frames");
  refused("lengths", full({2, 3}, DType::i64, 34), "lengths holds 34; ");
  refused("y", full({2, 3, 3}, DType::i64, 4), "y holds 4; phones are 1 to 3");
  refused("y", full({2, 3, 3}, DType::i64, 0), "y holds 0, the blank");
  refused("y_lengths", full({2, 3}, DType::i64, 4), "y_lengths holds 4; ");
  refused("x", full({2, 3, 202, 20}, DType::f32, 0),
          "x takes 101 positions; speech.max_frames is 100");
}

}  // namespace
}  // namespace tarn::test
