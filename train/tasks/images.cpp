#include "train/tasks/images.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>

#include "autograd/cross_entropy.h"
#include "autograd/logistic_mixture.h"
#include "core/io/file.h"
#include "core/transfer.h"
#include "data/image_batches.h"
#include "kernels/copy.h"
#include "kernels/table.h"
#include "train/run/signals.h"
#include "train/tasks/batches_ahead.h"
#include "train/tasks/model.h"
#include "train/tasks/totals.h"
#include "train/weights/recorded.h"

namespace tarn::train {
namespace {

constexpr std::int64_t kValues = 256;

// How many images step together: few enough that their states stay in the cache.
constexpr std::int64_t kStepBatch = 16;

// From a value to the target of a mixture, and back; both in f32, as in the authors' code.
float scaled(std::int32_t value) { return static_cast<float>(value) / 255.0F * 2.0F - 1.0F; }
std::int32_t unscaled(float target) {
  return static_cast<std::int32_t>(std::lround((target + 1.0F) / 2.0F * 255.0F));
}

// A new tensor on the CPU, computed element by element.
template <class From, class To, class Function>
Tensor mapped(const Tensor& from, DType dtype, const Function& function) {
  Tensor out = Tensor::empty(from.shape(), dtype, Device::cpu());
  for (std::int64_t i = 0; i < from.elements(); ++i) {
    out.mutable_data<To>()[i] = function(from.data<From>()[i]);
  }
  return out;
}

// The files' images: the training set without its tail, the tail, and the test set.
struct Data {
  data::ImageSet train, validation, test;
};

Data read_data(const TaskConfig& task) {
  TARN_CHECK_AS(ConfigError, !task.data.empty(),
                "task.data is empty; it names the folder with the images, see "
                "experiments/README.md: --set task.data=FOLDER");
  data::ImageFolder folder = data::open_image_folder(task.data);
  const std::int64_t values = folder.train.shape.values();
  TARN_CHECK_AS(ConfigError, values - 1 == task.sequence_length, task.data, ": images of ",
                folder.train.shape.str(), " have ", values,
                " values, of which all but the first are predicted; task.sequence_length is ",
                task.sequence_length, " and must be ", values - 1);
  Data out;
  out.validation = data::take_tail(folder.train, task.validation);
  out.train = std::move(folder.train);
  out.test = std::move(folder.test);
  return out;
}

class ImageTraining final : public Task {
 public:
  ImageTraining(const Config& config, Device device, DType dtype)
      : config_(config),
        device_(device),
        categorical_(config.model.head == "categorical"),
        model_(build_of(config, device, dtype), image_predictor_options(config)),
        training_(device, [this](std::int64_t index, const data::Shard& shard) {
          return on_device(batch_of(data::training_batch(
              data_->train, index, config_.train.batch_size, config_.run.seed, shard)));
        }) {}

  nn::Module& model() override { return model_; }

  void open_data() override { data_ = read_data(config_.task); }

  DataFacts data_facts() const override {
    if (!data_) return {};
    return {{"images", data_->test.shape.str()}};
  }

  DataFacts data_checksums() const override {
    if (!data_) return {};
    return {{"training images", data::checksum_of(data_->train)},
            {"validation images", data::checksum_of(data_->validation)},
            {"test images", data::checksum_of(data_->test)}};
  }

  ForwardResult train_batch(std::int64_t index, const data::Shard& shard,
                            const nn::Pass& pass) override {
    DeviceBatch batch = training_.take(index, shard);
    const std::int64_t images = batch.x.tensor().size(0);
    ForwardResult result = forward(std::move(batch), pass);
    result.share = static_cast<double>(images) / static_cast<double>(config_.train.batch_size);
    return result;
  }

  // Those of the head's loss: a batch counts by its values.
  Metrics metrics(std::span<const double> totals) const override {
    const double nats = totals[0] / totals[1];
    return {{"loss", nats}, {"bits_per_dim", nats / std::numbers::ln2}};
  }

  Metrics evaluate(Communicator& ranks) override {
    const std::int64_t size = config_.train.batch_size;
    return metrics_at_once(data_->validation,
                           std::min(data_->validation.count, size * config_.train.eval_batches),
                           ranks);
  }

  void open_split(const SplitOptions& options) override {
    open_data();
    split_ = options;
    const std::int64_t images = split_set().count;
    TARN_CHECK_AS(ConfigError, options.count <= images, "--count ", options.count, ": the ",
                  options.split, " images are ", images);
    if (options.count == 0) split_.count = images;
  }

  Metrics evaluate_split(Communicator& ranks) override {
    return split_.recurrent ? metrics_by_steps(split_set(), split_.count, ranks)
                            : metrics_at_once(split_set(), split_.count, ranks);
  }

  std::string note() const override {
    return message("bits_per_dim: over the ", config_.task.sequence_length,
                   " predicted values of an image; its first value is not scored");
  }

  std::int64_t count_recorded(const SafetensorsFile& file) const override {
    const std::vector<std::string> sizes = {"steps", "batch", "length"};
    return train::count_recorded(file, "images",
                                 {{"x", DType::i64, sizes}, {"y", DType::f32, sizes}},
                                 config_.task.sequence_length);
  }
  ForwardResult recorded_batch(const SafetensorsFile& file, std::int64_t index,
                               const nn::Pass& pass) override;

 private:
  // Values of the image in; out, those that follow: f32 in [-1, 1] for a mixture, i32 as they are
  // for the categorical head.
  struct Batch {
    Tensor x, y;
  };
  struct DeviceBatch {
    DeviceCopy x, y;
  };
  struct Loss {
    Tensor loss, totals;
  };

  const data::ImageSet& split_set() const {
    return split_.split == "test" ? data_->test : data_->validation;
  }

  Batch batch_of(const data::ImageBatch& batch) const {
    if (categorical_) return {batch.x, batch.target};
    return {batch.x, mapped<std::int32_t, float>(batch.target, DType::f32, scaled)};
  }

  DeviceBatch on_device(const Batch& batch) const {
    return {{batch.x, device_}, {batch.y, device_}};
  }

  Loss loss_of(const Tensor& logits, const Tensor& y) const {
    if (categorical_) {
      const auto result = ad::cross_entropy(logits, y, ones(y.shape(), logits.dtype()));
      return {result.loss, result.totals};
    }
    const auto result = ad::logistic_mixture(logits, y);
    return {result.loss, result.totals};
  }

  ForwardResult forward(DeviceBatch batch, const nn::Pass& pass) const {
    const Tensor& x = batch.x.tensor();
    const Tensor logits = model_.forward(x, {.causal = true, .lengths = {}}, pass);
    const Loss result = loss_of(logits, batch.y.tensor());
    return {result.loss, logits, result.totals, x.elements()};
  }

  // Over the first `count` images, in batches of up to `size`, whose totals are asked for.
  Metrics metrics_over(const data::ImageSet& set, std::int64_t count, std::int64_t size,
                       Communicator& ranks,
                       const std::function<Tensor(const Batch&)>& totals_of) const {
    return metrics(sum_over_batches(
        (count + size - 1) / size, totals_count(), device_, ranks, [&](std::int64_t index) {
          const std::int64_t first = index * size;
          return totals_of(
              batch_of(data::evaluation_batch(set, first, std::min(size, count - first))));
        }));
  }

  Metrics metrics_at_once(const data::ImageSet& set, std::int64_t count,
                          Communicator& ranks) const {
    return metrics_over(set, count, config_.train.batch_size, ranks, [this](const Batch& batch) {
      return forward(on_device(batch), {}).totals;
    });
  }

  // The same by the model as an RNN: equal to rounding, and to that of the weights.
  Metrics metrics_by_steps(const data::ImageSet& set, std::int64_t count,
                           Communicator& ranks) const {
    const nn::StepWeights weights = model_.step_weights(step_storage(config_.model));
    return metrics_over(set, count, kStepBatch, ranks, [&](const Batch& batch) {
      TotalsSum sum(totals_count(), device_);
      // A row a position, so that what a step takes is contiguous.
      const Tensor x = copy_to(batch.x.transpose(0, 1), device_);
      const Tensor y = copy_to(batch.y.transpose(0, 1), device_);
      nn::EncoderState state = model_.start(x.size(1), weights);
      for (std::int64_t position = 0; position < x.size(0); ++position) {
        stop_if_signalled();
        const Tensor logits = model_.step(x.select(0, position), state);
        sum.add(loss_of(logits, y.select(0, position)).totals);
      }
      return sum.tensor();
    });
  }

  std::int64_t totals_count() const { return categorical_ ? 3 : 2; }

  Tensor ones(const Shape& shape, DType dtype) const {
    Tensor out = Tensor::empty(shape, dtype, device_);
    kernels::run(&kernels::Table::fill, device_, {.to = out, .value = 1});
    return out;
  }

  Config config_;
  Device device_;
  bool categorical_;
  nn::SequencePredictor model_;
  std::optional<Data> data_;
  SplitOptions split_;  // that was opened
  BatchesAhead<DeviceBatch> training_;
};

ForwardResult ImageTraining::recorded_batch(const SafetensorsFile& file, std::int64_t index,
                                            const nn::Pass& pass) {
  Batch batch{recorded_tokens(file, "x", index, {0, kValues - 1}, "values are 0 to 255"),
              recorded_step(file, "y", index)};
  const float* y = batch.y.data<float>();
  for (std::int64_t i = 0; i < batch.y.elements(); ++i) {
    TARN_CHECK_AS(IoError, y[i] >= -1 && y[i] <= 1, file.path().string(), ": y holds ", y[i],
                  "; targets are in [-1, 1], a value v as v / 255 * 2 - 1");
  }
  if (categorical_) batch.y = mapped<float, std::int32_t>(batch.y, DType::i32, unscaled);
  return forward(on_device(batch), pass);
}

}  // namespace

nn::SequencePredictorOptions image_predictor_options(const Config& config) {
  nn::SequencePredictorOptions options;
  options.encoder = encoder_options(config.model);
  options.vocabulary = kValues;
  options.outputs = config.model.head == "categorical" ? kValues : 3 * config.task.mixtures;
  options.max_length = config.task.sequence_length;
  return options;
}

std::unique_ptr<Task> make_image_task(const Config& config, Device device, DType dtype) {
  return std::make_unique<ImageTraining>(config, device, dtype);
}

}  // namespace tarn::train
