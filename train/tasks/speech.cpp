#include "train/tasks/speech.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "autograd/ctc.h"
#include "core/names.h"
#include "core/transfer.h"
#include "data/speech/edits.h"
#include "train/tasks/speech_data.h"
#include "train/tasks/speech_recogniser.h"
#include "train/tasks/totals.h"
#include "train/weights/recorded.h"

namespace tarn::train {
namespace {

constexpr std::int64_t kGreedy = 0;  // a beam would take longer than the step of training

// The totals of a batch: what ad::ctc sums, and the edits between hypotheses and references.
constexpr std::size_t kLoss = 0, kCounted = 1, kSubstitutions = 2, kDeletions = 3, kInsertions = 4,
                      kPhones = 5, kTotals = 6;

data::Edits edits_of(std::span<const double> totals) {
  const auto count = [&](std::size_t total) { return static_cast<std::int64_t>(totals[total]); };
  return {count(kSubstitutions), count(kDeletions), count(kInsertions), count(kPhones)};
}

// The phones of utterance n of a batch.
std::span<const std::int32_t> reference(const data::SpeechBatch& batch, std::int64_t n) {
  return {batch.labels.data<std::int32_t>() + n * batch.labels.size(1),
          static_cast<std::size_t>(batch.label_lengths.data<std::int32_t>()[n])};
}

class SpeechTraining final : public Task {
 public:
  SpeechTraining(const Config& config, Device device, const DataFacts& checkpoint, DType dtype)
      : config_(config), recogniser_(config, device, read_phones(config, checkpoint), dtype) {}

  nn::Module& model() override { return recogniser_.model(); }

  DataFacts data_facts() const override {
    DataFacts facts = {{"phones", joined(recogniser_.phones().names(), " ")}};
    if (train_) facts["sample_rate"] = std::to_string(train_->sample_rate());
    return facts;
  }

  DataFacts data_checksums() const override {
    DataFacts checksums;
    const auto add = [&](const char* name, const std::unique_ptr<SpeechSplit>& split) {
      if (split) checksums[name] = split->checksum();
    };
    add("training utterances", train_);
    add("validation utterances", validation_);
    add("utterances of the split", split_);
    return checksums;
  }

  void open_data() override {
    train_ = open(config_.speech.train);
    validation_ = open(config_.speech.validation);
    TARN_CHECK_AS(IoError, train_->sample_rate() == validation_->sample_rate(),
                  validation_->folder().folder.string(), " has audio of ",
                  validation_->sample_rate(), " Hz, and ", train_->folder().folder.string(), " of ",
                  train_->sample_rate(), " Hz; a model hears one rate: resample one of them");
  }

  ForwardResult train_batch(std::int64_t index, const data::Shard& shard,
                            const nn::Pass& pass) override {
    const std::vector<std::int64_t> all = train_->batches().training_members(index);
    const auto [first, count] = data::range_of(shard, static_cast<std::int64_t>(all.size()));
    if (count == 0) return nothing();
    const std::vector<std::int64_t> members(all.begin() + first, all.begin() + first + count);
    ForwardResult result = forward(train_->batches().assemble(members), pass);
    // The mean is over the utterances that can be spelt. Where none can, the gradient is 0.
    const double targets = train_->count_feasible(all);
    if (targets > 0) result.share = train_->count_feasible(members) / targets;
    return result;
  }

  Metrics metrics(std::span<const double> totals) const override {
    const double loss = totals[kCounted] > 0 ? totals[kLoss] / totals[kCounted] : totals[kLoss];
    return {{"loss", loss}, {"per", edits_of(totals).rate()}};
  }

  Metrics evaluate(Communicator& ranks) override { return metrics_over(*validation_, ranks); }

  void open_split(const SplitOptions& options) override {
    const SpeechConfig& speech = config_.speech;
    split_ = open(options.split == "test" ? speech.test : speech.validation);
  }

  Metrics evaluate_split(Communicator& ranks) override { return metrics_over(*split_, ranks); }

  std::string note() const override {
    return "per: phone error rate, the share of errors in the phones said; the sum of the three "
           "that follow it";
  }

  std::int64_t count_recorded(const SafetensorsFile& file) const override;
  ForwardResult recorded_batch(const SafetensorsFile& file, std::int64_t index,
                               const nn::Pass& pass) override;

 private:
  struct Run {
    Tensor logits;
    ad::Ctc ctc;
    data::SpeechBatch batch;  // as the model took it
  };

  std::unique_ptr<SpeechSplit> open(const std::string& folder) const {
    auto split = std::make_unique<SpeechSplit>(config_, folder, recogniser_.phones());
    for (const std::string& note : split->notes()) std::fprintf(stderr, "note: %s\n", note.c_str());
    return split;
  }

  Run run(const data::SpeechBatch& batch, const nn::Pass& pass) {
    const data::SpeechBatch prepared = recogniser_.prepare(batch, pass);
    const Device device = recogniser_.device();
    const Tensor logits = recogniser_.logits(prepared, pass);
    const auto weight =
        config_.speech.loss_mean == "phone" ? ad::CtcWeight::per_label : ad::CtcWeight::whole;
    return {logits,
            ad::ctc(logits, copy_to(prepared.labels, device), copy_to(prepared.lengths, device),
                    copy_to(prepared.label_lengths, device), weight),
            prepared};
  }

  // The errors of the hypotheses of a batch, by a beam of this size (0: greedy decoding).
  data::Edits count(const Run& run, std::int64_t beam) const {
    data::Edits edits;
    const std::vector<data::Hypothesis> hypotheses =
        recogniser_.decode(run.logits, run.batch, beam);
    for (std::size_t n = 0; n < hypotheses.size(); ++n) {
      edits += data::count_edits(reference(run.batch, static_cast<std::int64_t>(n)),
                                 hypotheses[n].labels());
    }
    return edits;
  }

  // The totals of a batch, decoded by such a beam. Decoding is done on the host.
  Tensor totals_of(const Run& run, std::int64_t beam) const {
    HostCopy copy(run.ctc.totals);
    const std::span<const double> ctc = copy.wait<double>();
    // Logits that are not finite cannot be decoded; the trainer stops at their loss.
    const data::Edits edits = std::isfinite(ctc[0]) ? count(run, beam) : data::Edits{};
    std::array<double, kTotals> totals{};
    totals[kLoss] = ctc[0];
    totals[kCounted] = ctc[1];
    totals[kSubstitutions] = static_cast<double>(edits.substitutions);
    totals[kDeletions] = static_cast<double>(edits.deletions);
    totals[kInsertions] = static_cast<double>(edits.insertions);
    totals[kPhones] = static_cast<double>(edits.length);
    return from_values<double>(totals, {kTotals}, run.logits.device());
  }

  ForwardResult forward(const data::SpeechBatch& batch, const nn::Pass& pass) {
    const Run result = run(batch, pass);
    std::int64_t frames = 0;
    for (std::int64_t n = 0; n < batch.lengths.elements(); ++n) {
      frames += batch.lengths.data<std::int32_t>()[n];
    }
    return {result.ctc.loss, result.logits, totals_of(result, kGreedy), frames};
  }

  // Of a shard of a batch that has fewer utterances than shards.
  ForwardResult nothing() const {
    return {{}, {}, Tensor::zeros({kTotals}, DType::f64, recogniser_.device()), 0, 0};
  }

  Metrics metrics_over(const SpeechSplit& split, Communicator& ranks) {
    const std::vector<double> totals = sum_over_batches(
        split.batches().per_epoch(), kTotals, recogniser_.device(), ranks, [&](std::int64_t index) {
          return totals_of(run(split.batches().evaluation(index), {}), config_.speech.beam);
        });
    const data::Edits edits = edits_of(totals);
    const auto share = [&](std::int64_t errors) {
      return static_cast<double>(errors) /
             static_cast<double>(std::max<std::int64_t>(1, edits.length));
    };
    Metrics out = metrics(totals);
    out.push_back({"substitutions", share(edits.substitutions)});
    out.push_back({"deletions", share(edits.deletions)});
    out.push_back({"insertions", share(edits.insertions)});
    return out;
  }

  Config config_;
  SpeechRecogniser recogniser_;
  std::unique_ptr<SpeechSplit> train_, validation_, split_;
};

std::int64_t SpeechTraining::count_recorded(const SafetensorsFile& file) const {
  const std::vector<std::string> each = {"steps", "batch"};
  return train::count_recorded(
      file, "speech",
      {{"x", DType::f32, {"steps", "batch", "frames", std::to_string(config_.speech.bins)}},
       {"lengths", DType::i64, each},
       {"y", DType::i64, {"steps", "batch", "phones"}},
       {"y_lengths", DType::i64, each}});
}

ForwardResult SpeechTraining::recorded_batch(const SafetensorsFile& file, std::int64_t index,
                                             const nn::Pass& pass) {
  data::SpeechBatch batch;
  batch.features = recorded_step(file, "x", index);
  const std::int64_t frames = batch.features.size(1);
  check_fits(config_, frames, message(file.path().string(), ": x"));
  batch.lengths = recorded_tokens(file, "lengths", index, {1, frames},
                                  message("lengths are 1 to the frames of x, ", frames));
  const std::int64_t phones = recogniser_.phones().size();
  batch.labels = recorded_tokens(file, "y", index, {0, phones - 1},
                                 message("phones are 1 to ", phones - 1, ", and 0 behind the end"));
  const std::int64_t longest = batch.labels.size(1);
  batch.label_lengths = recorded_tokens(file, "y_lengths", index, {0, longest},
                                        message("they are 0 to the phones of y, ", longest));
  for (std::int64_t n = 0; n < batch.labels.size(0); ++n) {
    const std::span<const std::int32_t> row = reference(batch, n);
    TARN_CHECK_AS(IoError, std::find(row.begin(), row.end(), 0) == row.end(), file.path().string(),
                  ": y holds 0, the blank, before the end that y_lengths says");
  }
  return forward(batch, pass);
}

}  // namespace

std::unique_ptr<Task> make_speech_task(const Config& config, Device device,
                                       const DataFacts& checkpoint, DType dtype) {
  return std::make_unique<SpeechTraining>(config, device, checkpoint, dtype);
}

}  // namespace tarn::train
