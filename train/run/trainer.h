// The loop: next batch, record, backward, clip, step, log, evaluate, save.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "autograd/tape.h"
#include "core/io/file.h"
#include "optim/optimizer.h"
#include "train/config/config.h"
#include "train/run/event_file.h"
#include "train/run/progress.h"
#include "train/run/run_folder.h"
#include "train/run/update.h"
#include "train/tasks/task.h"

namespace tarn::train {

// A loss or a gradient was not finite. The message names the first op; the exit code is 1.
class NonFiniteError : public Error {
 public:
  using Error::Error;
};

// Whether a run has ended: all steps were made, or no evaluation was better for train.early_stop of
// them; and the last evaluation was made.
bool is_complete(const TrainConfig& train, const TrainState& state);

struct TrainOutcome {
  std::int64_t step = 0;
  Metrics evaluation;  // the last one; empty if there was none
  int signal = 0;      // the one that ended it early, after saving; 0: the run is complete
};

// One run in one folder: config.toml, metrics.jsonl, timing.jsonl and checkpoints/. Of several
// processes that share it each has a Trainer, with the same weights and the same state at every
// step, and the first alone has the folder.
class Trainer {
 public:
  // A new run, in a folder as RunFolder wants it. It starts from the weights that load_weights()
  // takes, or from fresh ones if they are empty. Throws UserError.
  static std::unique_ptr<Trainer> start(const Config& config, const std::filesystem::path& folder,
                                        const std::string& weights, Communicator& ranks);
  // Goes on from a checkpoint of this run; std::nullopt is its latest. The config may differ from
  // the run's in what does not change the past (more steps, other intervals, threads).
  static std::unique_ptr<Trainer> resume(const Config& config, const std::filesystem::path& folder,
                                         const std::optional<std::filesystem::path>& checkpoint,
                                         Communicator& ranks);

  TrainOutcome run();

 private:
  Trainer(const Config& config, std::optional<RunFolder> home, std::unique_ptr<Task> task,
          std::unique_ptr<optim::Optimizer> optimizer, const TrainState& state,
          Communicator& ranks);

  void publish();      // makes the folder hold a run
  void share_state();  // gives the first process's weights, moments and state to all
  void write_checkpoint();
  void stop_if_asked() const;  // throws Interrupted

  void train_step();
  void settle();  // reads what the pending step gave, and reports it; stops at what is not finite
  void evaluate();
  void save();
  // A line of metrics.jsonl, and the one of timing.jsonl that belongs to it, if it is not empty.
  void write(const std::string& metrics, const std::string& timing);
  bool complete() const { return is_complete(config_.train, state_); }
  double learning_rate() const;
  void check_weights();
  std::string last_checkpoint() const;  // for messages
  void explain_nonfinite(double loss, double norm);

  // A step that was asked for, the state_.step-th: its figures are read when the next one has been
  // asked for, so that a device has work while the program waits, or before they are needed.
  struct PendingStep {
    optim::QueuedUpdate update;
    double lr = 0;
    std::int64_t tokens = 0;
    std::int64_t bytes_sent = 0;  // by this process
    ExchangeTime exchange;
  };

  void log(const StepReport& report, const PendingStep& step);

  Config config_;
  Communicator& ranks_;
  std::optional<RunFolder> home_;  // of the first process
  std::string config_toml_;
  std::unique_ptr<Task> task_;
  std::unique_ptr<optim::Optimizer> optimizer_;
  TrainState state_;
  std::optional<AppendFile> metrics_, timing_;  // of the first process
  std::optional<EventFile> events_;             // while it trains, with run.tensorboard
  Progress progress_;
  ad::Tape tape_;
  Metrics last_evaluation_;
  std::int64_t saved_step_ = -1;
  int stop_signal_ = 0;  // that all processes agreed to stop for
  std::optional<PendingStep> pending_;
};

// The optimizer that a config asks for, over a model's parameters.
std::unique_ptr<optim::Optimizer> optimizer_for(const Config& config, nn::Module& model);
optim::ScheduleOptions schedule_options(const Config& config);

}  // namespace tarn::train
