// What a kind of experiment adds to the loop: its model, its batches, its loss and its metrics.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/io/safetensors.h"
#include "core/tensor.h"
#include "data/shard.h"
#include "nn/module.h"
#include "train/config/config.h"
#include "train/distributed/communicator.h"
#include "train/tasks/data_facts.h"

namespace tarn::train {

// Named numbers in a fixed order: {"loss", 0.31}, {"accuracy", 0.92}.
struct Metric {
  std::string name;
  double value = 0;
};
using Metrics = std::vector<Metric>;

// One forward pass over a batch, or over a shard of it.
struct ForwardResult {
  Tensor loss;  // one element; stands on the tape if one recorded; undefined of a shard of no rows
  Tensor logits;
  Tensor totals;  // f64 [n], on the task's device: what Task::metrics() makes metrics of
  std::int64_t tokens = 0;
  double share =
      1;  // what the loss counts for in the batch's, which is a mean over all its targets
};

// What of a split is evaluated, and how. Only models of images have more than the split.
struct SplitOptions {
  std::string split = "test";  // or "validation"
  std::int64_t count = 0;      // so many images, from the first; 0: all
  bool recurrent = false;      // step by step, by the model as an RNN; else all positions at once
};

class Task {
 public:
  virtual ~Task() = default;

  virtual nn::Module& model() = 0;

  // Reads the files that training and its evaluations need. Called once, before either; `tarn
  // trace` and open_split() do without.
  virtual void open_data() {}

  // A shard of training batch `index` from 0: a function of the config's seed and these alone.
  virtual ForwardResult train_batch(std::int64_t index, const data::Shard& shard,
                                    const nn::Pass& pass) = 0;

  // The metrics of a forward pass, from its totals, or of several from the sums of theirs.
  virtual Metrics metrics(std::span<const double> totals) const = 0;

  // The metrics over the task's evaluation data, in evaluation mode: the same in all processes,
  // which share the batches. Like evaluate_split(), it throws Interrupted between two batches, and
  // in a process alone between two steps of a model, once a signal was noted.
  virtual Metrics evaluate(Communicator& ranks) = 0;

  // Reads the files of a split, for evaluate_split(). A task that draws its data has test alone,
  // which is what evaluate() takes.
  virtual void open_split(const SplitOptions& options);
  // The metrics over the split that was opened.
  virtual Metrics evaluate_split(Communicator& ranks) { return evaluate(ranks); }

  // What the model depends on that the data says, as far as it has been read.
  virtual DataFacts data_facts() const { return {}; }

  // Checksums of the data that were opened: processes that share a run must have the same.
  virtual DataFacts data_checksums() const { return {}; }

  // What a reader must know of the metrics, in a line; empty if their names say it all.
  virtual std::string note() const { return ""; }

  // Recorded batches, for `tarn trace`. Throws IoError that lists every missing or misshapen
  // tensor.
  virtual std::int64_t count_recorded(const SafetensorsFile& file) const = 0;
  virtual ForwardResult recorded_batch(const SafetensorsFile& file, std::int64_t index,
                                       const nn::Pass& pass) = 0;
};

// The metric of a kind of task that says what the best checkpoint is; lower is better.
std::string_view best_metric(std::string_view kind);

// The task that config.task.kind names, with a model of fresh parameters on the device. The facts
// of the checkpoint whose weights it gets stand in for data that the config does not name. The
// model is of f32 or, to check that, of f64.
std::unique_ptr<Task> make_task(const Config& config, Device device,
                                const DataFacts& checkpoint = {}, DType dtype = DType::f32);
// The same with its data opened, ready to train.
std::unique_ptr<Task> make_ready_task(const Config& config, Device device,
                                      const DataFacts& checkpoint = {}, DType dtype = DType::f32);

// The value of a metric; throws Error when there is none of this name.
double metric(const Metrics& metrics, std::string_view name);

}  // namespace tarn::train
