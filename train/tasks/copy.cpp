#include "train/tasks/copy.h"

#include "autograd/cross_entropy.h"
#include "core/transfer.h"
#include "data/copy_task.h"
#include "nn/sequence_predictor.h"
#include "train/tasks/batches_ahead.h"
#include "train/tasks/float_type.h"
#include "train/tasks/model.h"
#include "train/tasks/totals.h"
#include "train/weights/recorded.h"

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

class CopyTraining final : public Task {
 public:
  CopyTraining(const Config& config, Device device, DType dtype)
      : config_(config),
        device_(device),
        dtype_(dtype),
        data_({config.task.sequence_length, config.task.symbols, config.run.seed}),
        model_(build_of(config, device, dtype), predictor_options(config)),
        training_(device, [this](std::int64_t index, const data::Shard& shard) {
          return on_device(data_.batch("train", index, config_.train.batch_size, shard));
        }) {}

  nn::Module& model() override { return model_; }

  ForwardResult train_batch(std::int64_t index, const data::Shard& shard,
                            const nn::Pass& pass) override {
    const std::int64_t size = config_.train.batch_size;
    ForwardResult result = forward(training_.take(index, shard), pass);
    result.share = static_cast<double>(data_.targets("train", index, size, shard)) /
                   static_cast<double>(data_.targets("train", index, size));
    return result;
  }

  // Those of ad::cross_entropy: a batch counts by its masked positions.
  Metrics metrics(std::span<const double> totals) const override {
    return {{"loss", totals[0] / totals[1]}, {"accuracy", totals[2] / totals[1]}};
  }

  Metrics evaluate(Communicator& ranks) override {
    return metrics(
        sum_over_batches(config_.train.eval_batches, 3, device_, ranks, [this](std::int64_t index) {
          const auto batch = data_.batch("evaluation", index, config_.train.batch_size);
          return forward(on_device(batch), {}).totals;
        }));
  }

  std::int64_t count_recorded(const SafetensorsFile& file) const override;
  ForwardResult recorded_batch(const SafetensorsFile& file, std::int64_t index,
                               const nn::Pass& pass) override;

 private:
  struct Batch {
    DeviceCopy x, y, mask;
  };

  Batch on_device(const data::CopyBatch& batch) const {
    return {{batch.x, device_}, {batch.y, device_}, {in_float_type(batch.mask, dtype_), device_}};
  }

  ForwardResult forward(Batch batch, const nn::Pass& pass) {
    const Tensor& x = batch.x.tensor();
    const Tensor logits = model_.forward(x, {.causal = true, .lengths = {}}, pass);
    const auto result = ad::cross_entropy(logits, batch.y.tensor(), batch.mask.tensor());
    return {result.loss, logits, result.totals, x.elements()};
  }

  Config config_;
  Device device_;
  DType dtype_;
  data::CopyTask data_;
  nn::SequencePredictor model_;
  BatchesAhead<Batch> training_;
};

std::int64_t CopyTraining::count_recorded(const SafetensorsFile& file) const {
  const std::vector<std::string> sizes = {"steps", "batch", "length"};
  return train::count_recorded(
      file, "copy",
      {{"x", DType::i64, sizes}, {"y", DType::i64, sizes}, {"mask", DType::f32, sizes}},
      config_.task.sequence_length);
}

ForwardResult CopyTraining::recorded_batch(const SafetensorsFile& file, std::int64_t index,
                                           const nn::Pass& pass) {
  const std::int64_t symbols = config_.task.symbols;
  const std::string meaning = message("tokens are 0 to task.symbols = ", symbols);
  return forward(on_device({recorded_tokens(file, "x", index, {0, symbols}, meaning),
                            recorded_tokens(file, "y", index, {0, symbols}, meaning),
                            recorded_step(file, "mask", index)}),
                 pass);
}

}  // namespace

std::unique_ptr<Task> make_copy_task(const Config& config, Device device, DType dtype) {
  return std::make_unique<CopyTraining>(config, device, dtype);
}

}  // namespace tarn::train
