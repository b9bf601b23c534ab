// The seconds of the paper's Table 3: a training step of its models of speech against length,
// without the update. The kinds take turns, so that what disturbs the machine disturbs all of them.
// The weights are random, which changes no time. A kind whose check against its f64 reference fails
// is not timed.
#include "autograd/ctc.h"
#include "autograd/tape.h"
#include "bench/bench.h"
#include "core/allocator.h"
#include "core/transfer.h"
#include "kernels/backend.h"
#include "nn/init.h"
#include "nn/speech_model.h"

namespace tarn::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int64_t kFeatures = 40, kPhones = 40;  // with the blank
constexpr std::int64_t kFramesPerPhone = 8;           // 12 phones a second, as people speak

// Seconds an epoch of the paper's Table 3, on a GPU and utterances of 800 frames on average.
struct PrintedEpoch {
  const char* kind;
  double epoch_s;
};
constexpr PrintedEpoch kPrintedEpochs[] = {
    {"linear", 824}, {"full", 2711}, {"lsh-4", 2250}, {"bilstm", 1047}};

double printed_seconds(const std::string& kind) {
  for (const PrintedEpoch& printed : kPrintedEpochs) {
    if (kind == printed.kind) return printed.epoch_s;
  }
  return 0;
}

// As experiments/speech/*.toml have them.
std::unique_ptr<nn::SpeechModel> make_model(const std::string& kind, std::int64_t longest,
                                            DType dtype) {
  const nn::Build build{.path = "", .dtype = dtype};
  if (kind == "bilstm") {
    return std::make_unique<nn::SpeechLstm>(
        build, nn::BiLstmOptions{.input = kFeatures, .hidden = 320, .layers = 3}, kPhones);
  }
  nn::SpeechTransformerOptions options{
      .features = kFeatures, .outputs = kPhones, .max_length = longest};
  nn::EncoderOptions& encoder = options.encoder;
  const std::int64_t rounds = lsh_rounds(kind);
  encoder.attention = rounds > 0 ? "lsh" : kind;
  if (rounds > 0) encoder.lsh.rounds = rounds;
  encoder.layers = 9;
  encoder.heads = 6;
  encoder.feed_forward = 768;
  return std::make_unique<nn::SpeechTransformer>(build, options);
}

Tensor constant(const Shape& shape, std::int64_t value) {
  Tensor out = Tensor::empty(shape, DType::i32, Device::cpu());
  std::fill_n(out.mutable_data<std::int32_t>(), out.elements(), static_cast<std::int32_t>(value));
  return out;
}

// Utterances of one length, without padding.
struct Batch {
  Batch(std::int64_t utterances, std::int64_t frames, DType dtype)
      : features(nn::initialise(nn::Init::normal(1), {utterances, frames, kFeatures},
                                {1, site_of("features"), 0}, dtype, Device::cpu())),
        lengths(constant({utterances}, frames)),
        labels(constant({utterances, frames / kFramesPerPhone}, 1)),
        label_lengths(constant({utterances}, frames / kFramesPerPhone)) {
    for (std::int64_t i = 0; i < labels.elements(); ++i) {
      labels.mutable_data<std::int32_t>()[i] += static_cast<std::int32_t>(i % (kPhones - 1));
    }
  }

  Tensor features, lengths, labels, label_lengths;
};

struct Step {
  Tensor logits;
  double forward = 0, backward = 0;  // seconds; the loss is part of both
};

// Leaves the gradients with the parameters.
Step run_step(const nn::SpeechModel& model, const Batch& batch) {
  const auto seconds_since = [](Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  Step step;
  ad::Tape tape;
  ad::Ctc ctc;
  auto start = Clock::now();
  {
    const ad::Recording recording = tape.record();
    step.logits = model.forward(batch.features, batch.lengths, {.training = true, .seed = 1});
    ctc = ad::ctc(step.logits, batch.labels, batch.lengths, batch.label_lengths);
  }
  step.forward = seconds_since(start);
  start = Clock::now();
  tape.backward(ctc.loss);
  step.backward = seconds_since(start);
  return step;
}

void check(const std::string& kind) {
  constexpr std::int64_t kFrames = 50;
  const auto fast = make_model(kind, kFrames, DType::f32);
  const auto exact = make_model(kind, kFrames, DType::f64);
  const Step step = run_step(*fast, {2, kFrames, DType::f32});
  const Step expected = run_step(*exact, {2, kFrames, DType::f64});
  // The first weight's gradient has been through all the others' layers, where a value next to 0
  // may be on either side of relu's kink.
  const double logits = relative_error(step.logits, expected.logits);
  const double gradient =
      relative_error(fast->parameters().front()->grad(), exact->parameters().front()->grad());
  TARN_CHECK(logits < 1e-4 && gradient < 1e-2, "bench speech: ", kind,
             " differs from its f64 reference: its logits by ", logits,
             " of the largest value, a gradient by ", gradient, "; it is not timed");
}

struct Timed {
  std::string kind;
  std::unique_ptr<nn::SpeechModel> model;
  std::vector<double> forward = {}, backward = {}, both = {};
  std::int64_t peak = 0;  // bytes of a step beyond the weights

  void run(const Batch& batch) {
    Allocator& memory = allocator(Device::cpu());
    const std::int64_t before = memory.stats().live;
    memory.reset_peak();
    const Step step = run_step(*model, batch);
    peak = memory.stats().peak - before;
    for (ad::Parameter* parameter : model->parameters()) parameter->clear_grad();
    forward.push_back(step.forward);
    backward.push_back(step.backward);
    both.push_back(step.forward + step.backward);
  }
};

void time_length(const SpeechOptions& options, std::int64_t frames, Report& report) {
  const std::int64_t utterances = std::max<std::int64_t>(1, options.batch / frames);
  const Batch batch(utterances, frames, DType::f32);
  std::vector<Timed> all;
  for (const std::string& kind : options.kinds) {
    all.push_back({kind, make_model(kind, frames, DType::f32)});
  }
  for (Timed& timed : all) {  // to warm up
    timed.run(batch);
    timed.forward.clear();
    timed.backward.clear();
    timed.both.clear();
  }
  for (std::int64_t round = 0; round < options.rounds; ++round) {
    for (Timed& timed : all) timed.run(batch);
  }
  const double thousands = static_cast<double>(utterances * frames) / 1000;
  const auto linear = std::find_if(all.begin(), all.end(),
                                   [](const Timed& timed) { return timed.kind == "linear"; });
  for (const Timed& timed : all) {
    Row row{{"bench", "speech"},
            {"kind", timed.kind},
            {"frames", frames},
            {"batch", utterances},
            {"threads", kernels::cpu_backend().threads},
            {"forward_s/1k", median(timed.forward) / thousands},
            {"backward_s/1k", median(timed.backward) / thousands},
            {"both_s/1k", median(timed.both) / thousands},
            {"peak_mb", static_cast<double>(timed.peak) / 1e6}};
    if (linear != all.end()) {
      row.emplace_back("ratio", median(timed.both) / median(linear->both));
      if (const double epoch = printed_seconds(timed.kind); epoch > 0) {
        row.emplace_back("paper_ratio", epoch / printed_seconds("linear"));
      }
    }
    report.add(row);
  }
  allocator(Device::cpu()).release_cached();  // another length has blocks of other sizes
}

}  // namespace

void speech(const SpeechOptions& options, Report& report) {
  for (const std::string& kind : options.kinds) check(kind);
  for (const std::int64_t frames : options.frames) time_length(options, frames, report);
}

}  // namespace tarn::bench
