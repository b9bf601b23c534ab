#include "train/tasks/copy.h"

#include <algorithm>

#include "autograd/cross_entropy.h"
#include "core/transfer.h"
#include "data/copy_task.h"
#include "nn/sequence_predictor.h"
#include "train/model.h"

namespace tarn::train {
namespace {

nn::SequencePredictorOptions predictor_options(const Config& config) {
  nn::SequencePredictorOptions options;
  options.encoder = encoder_options(config.model);
  options.vocabulary = config.task.symbols + 1;
  options.outputs = config.task.symbols + 1;
  options.max_length = config.task.sequence_length;
  return options;
}

// Sums over batches; a batch counts by its masked positions.
struct Totals {
  double loss = 0, weight = 0, correct = 0;

  void add(const Tensor& totals) {
    const Tensor host = copy_to(totals, Device::cpu());
    loss += host.data<double>()[0];
    weight += host.data<double>()[1];
    correct += host.data<double>()[2];
  }
  Metrics metrics() const { return {{"loss", loss / weight}, {"accuracy", correct / weight}}; }
};

class CopyTraining final : public Task {
 public:
  CopyTraining(const Config& config, Device device)
      : config_(config),
        device_(device),
        data_({config.task.sequence_length, config.task.symbols, config.run.seed}),
        model_({.path = "", .dtype = DType::f32, .device = device, .seed = config.run.seed},
               predictor_options(config)) {}

  nn::Module& model() override { return model_; }

  ForwardResult train_batch(std::int64_t index, const nn::Pass& pass) override {
    return forward(data_.batch("train", index, config_.train.batch_size), pass);
  }

  Metrics evaluate() override {
    Totals totals;
    for (std::int64_t i = 0; i < config_.train.eval_batches; ++i) {
      const auto batch = data_.batch("evaluation", i, config_.train.batch_size);
      totals.add(run(batch, {}).totals);
    }
    return totals.metrics();
  }

  std::string_view best_metric() const override { return "loss"; }

  std::int64_t count_recorded(const SafetensorsFile& file) const override;
  ForwardResult recorded_batch(const SafetensorsFile& file, std::int64_t index,
                               const nn::Pass& pass) override;

 private:
  struct Run {
    Tensor logits, loss, totals;
  };

  Run run(const data::CopyBatch& batch, const nn::Pass& pass) {
    const Tensor logits =
        model_.forward(copy_to(batch.x, device_), {.causal = true, .lengths = {}}, pass);
    const auto result =
        ad::cross_entropy(logits, copy_to(batch.y, device_), copy_to(batch.mask, device_));
    return {logits, result.loss, result.totals};
  }

  ForwardResult forward(const data::CopyBatch& batch, const nn::Pass& pass) {
    const Run result = run(batch, pass);
    Totals totals;
    totals.add(result.totals);
    return {result.loss, result.logits, totals.metrics(), batch.x.elements()};
  }

  Config config_;
  Device device_;
  data::CopyTask data_;
  nn::SequencePredictor model_;
};

std::int64_t CopyTraining::count_recorded(const SafetensorsFile& file) const {
  const SafetensorsFile::Entry* x = file.find("x");
  const bool shaped = x != nullptr && x->shape.rank() == 3;
  std::string problems;
  const auto want = [&](const char* name, DType dtype) {
    const SafetensorsFile::Entry* entry = file.find(name);
    if (entry == nullptr) {
      problems += message("\n  ", name, " is missing");
    } else if (entry->dtype != dtype || entry->shape.rank() != 3 ||
               (shaped && entry->shape != x->shape)) {
      problems += message("\n  ", name, " is ", name_of(entry->dtype), " ", entry->shape,
                          ", wanted ", name_of(dtype), shaped ? message(" ", x->shape) : "");
    }
  };
  want("x", DType::i64);
  want("y", DType::i64);
  want("mask", DType::f32);
  if (shaped && x->shape[2] > config_.task.sequence_length) {
    problems += message("\n  x has ", x->shape[2], " positions; task.sequence_length is ",
                        config_.task.sequence_length);
  }
  TARN_CHECK_AS(
      IoError, problems.empty(), file.path().string(),
      ": a recorded batch of the copy task has x, y (i64 [steps, batch, length]) and mask "
      "(f32, the same shape)",
      problems);
  return x->shape[0];
}

// Recorded tokens are 64-bit, as PyTorch has them.
Tensor tokens_of(const SafetensorsFile& file, const char* name, std::int64_t index,
                 std::int64_t symbols) {
  const Tensor all = file.read(name);
  const Tensor wide = all.select(0, index);
  Tensor out = Tensor::empty(wide.shape(), DType::i32, Device::cpu());
  for (std::int64_t i = 0; i < wide.elements(); ++i) {
    const std::int64_t token = wide.data<std::int64_t>()[i];
    TARN_CHECK_AS(IoError, token >= 0 && token <= symbols, file.path().string(), ": ", name,
                  " holds ", token, "; tokens are 0 to task.symbols = ", symbols);
    out.mutable_data<std::int32_t>()[i] = static_cast<std::int32_t>(token);
  }
  return out;
}

ForwardResult CopyTraining::recorded_batch(const SafetensorsFile& file, std::int64_t index,
                                           const nn::Pass& pass) {
  return forward({tokens_of(file, "x", index, config_.task.symbols),
                  tokens_of(file, "y", index, config_.task.symbols),
                  copy_to(file.read("mask").select(0, index), Device::cpu())},
                 pass);
}

}  // namespace

std::unique_ptr<Task> make_copy_task(const Config& config, Device device) {
  return std::make_unique<CopyTraining>(config, device);
}

}  // namespace tarn::train
