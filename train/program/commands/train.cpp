#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>

#include "core/allocator.h"
#include "core/check.h"
#include "kernels/backend.h"
#include "train/distributed/connect_devices.h"
#include "train/distributed/launch.h"
#include "train/program/commands.h"
#include "train/run/signals.h"
#include "train/run/trainer.h"
#include "train/weights/weights.h"

namespace tarn::train {
namespace {

double thread_seconds() {
  timespec used{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) * 1e-9;
}

std::int64_t parameter_count(const nn::Module& model) {
  std::int64_t numbers = 0;
  for (const ad::Parameter* parameter : model.parameters())
    numbers += parameter->value().elements();
  return numbers;
}

// Seconds of some steps, and the share of them in which this thread had a processor.
struct Timing {
  std::vector<double> seconds;  // sorted
  double share = 1;
};

// On the first batches, with a rate of 0. The first step, whose memory is not in place, is left
// out.
Timing time_steps(Task& task, optim::Optimizer& optimizer, const Config& config,
                  std::int64_t& tokens) {
  constexpr std::size_t kMost = 20, kLeast = 2;
  constexpr double kEnough = 2;  // seconds
  const auto step = [&](std::int64_t index) {
    ad::Tape tape;
    tokens = run_batches(task, config, index, tape).tokens;
    optimizer.step(0);
  };
  step(0);
  Timing timing;
  double total = 0;
  const double processor = thread_seconds();
  while (timing.seconds.size() < kLeast || (timing.seconds.size() < kMost && total < kEnough)) {
    const auto start = std::chrono::steady_clock::now();
    step(static_cast<std::int64_t>(timing.seconds.size()) + 1);
    timing.seconds.push_back(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    total += timing.seconds.back();
  }
  timing.share = (thread_seconds() - processor) / total;
  std::sort(timing.seconds.begin(), timing.seconds.end());
  return timing;
}

int dry_run(const Config& config, const std::string& weights) {
  const auto task = make_ready_task(config, parse_device(config.run.device));
  if (!weights.empty()) load_weights(weights, task->model(), task->data_facts());
  const auto optimizer = optimizer_for(config, task->model());
  std::int64_t tokens = 0;
  const Timing timing = time_steps(*task, *optimizer, config, tokens);
  const std::vector<double>& seconds = timing.seconds;
  const double median = seconds[seconds.size() / 2];
  const auto peak = static_cast<double>(allocator(parse_device(config.run.device)).stats().peak);
  std::printf("%s: %lld parameters, %lld steps of %lld tokens\n", config.run.name.c_str(),
              static_cast<long long>(parameter_count(task->model())),
              static_cast<long long>(config.train.steps), static_cast<long long>(tokens));
  std::printf("a step takes about %s (%s to %s in %zu steps) and %.0f MB; all of them about %s\n",
              duration_text(median).c_str(), duration_text(seconds.front()).c_str(),
              duration_text(seconds.back()).c_str(), seconds.size(), peak / 1e6,
              duration_text(median * static_cast<double>(config.train.steps)).c_str());
  // The main thread has a part in all that is computed, so on a quiet machine it hardly waits.
  constexpr double kQuietShare = 0.8;
  if (parse_device(config.run.device) == Device::cpu() && timing.share < kQuietShare) {
    std::printf("the machine was busy: of this time the program had a processor for %.0f %% only\n",
                100 * timing.share);
  }
  return 0;
}

TrainOutcome outcome_of(Trainer& trainer) try {
  return trainer.run();
} catch (const RankLost& error) {
  fail<RankLost>(error.what(), "; the last checkpoint is as it was, and --resume goes on from it");
}

// Makes the trainer, and trains. The config and the device were checked.
int train_run(const TrainCommand& command, const Config& config, Communicator& ranks) {
  const std::filesystem::path folder =
      command.out.empty() ? std::filesystem::path("runs") / config.run.name : command.out;
  std::unique_ptr<Trainer> trainer;
  if (!command.resume) {
    trainer = Trainer::start(config, folder, command.weights, ranks);
  } else if (*command.resume == "latest") {
    trainer = Trainer::resume(config, folder, std::nullopt, ranks);
  } else {
    trainer = Trainer::resume(config, folder, *command.resume, ranks);
  }
  const SignalWatch watch;  // from here on there is something to save
  const TrainOutcome outcome = outcome_of(*trainer);
  if (outcome.signal != 0) {
    std::fprintf(stderr, "stopped by %s after step %lld, which is saved; --resume goes on\n",
                 signal_name(outcome.signal).c_str(), static_cast<long long>(outcome.step));
    return signal_exit_code(outcome.signal);
  }
  if (outcome.step < config.train.steps) {
    std::fprintf(stderr, "stopped early: the best of the last %lld evaluations is the first\n",
                 static_cast<long long>(config.train.early_stop) + 1);
  }
  std::fprintf(stderr, "done: %lld steps in %s\n", static_cast<long long>(outcome.step),
               folder.c_str());
  return 0;
}

}  // namespace

int train_command(const TrainCommand& command) {
  TARN_CHECK_AS(ConfigError, command.weights.empty() || !command.resume,
                "--weights excludes --resume: a run that goes on has weights of its own");
  return run_as_rank([&](Communicator& ranks) {
    Config config;
    Device device;
    ranks.together([&] {
      config = load_config(command.config, command.set);
      TARN_CHECK_AS(ConfigError, ranks.alone() || !command.dry_run,
                    "--dry-run is the work of one process; start it without mpirun");
      check_shards(config.train.shards, ranks);
      device = ready_device(config, ranks);  // throws before anything is made
    });
    const std::string advice = kernels::cpu_backend().advice;
    if (device == Device::cpu() && !advice.empty()) {
      std::fprintf(stderr, "note: %s\n", advice.c_str());
    }
    if (command.dry_run) return dry_run(config, command.weights);
    if (!ranks.alone()) {
      const std::string how = connect_devices(ranks, device);
      if (device != Device::cpu()) std::fprintf(stderr, "gradients: %s\n", how.c_str());
    }
    return train_run(command, config, ranks);
  });
}

}  // namespace tarn::train
