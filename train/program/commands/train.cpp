#include <chrono>
#include <cstdio>

#include "core/allocator.h"
#include "core/check.h"
#include "kernels/backend.h"
#include "train/program/commands.h"
#include "train/run/signals.h"
#include "train/run/trainer.h"
#include "train/weights/weights.h"

namespace tarn::train {
namespace {

std::int64_t parameter_count(const nn::Module& model) {
  std::int64_t numbers = 0;
  for (const ad::Parameter* parameter : model.parameters())
    numbers += parameter->value().elements();
  return numbers;
}

void print_backend(const Config& config) {
  const kernels::CpuBackend cpu = kernels::cpu_backend();
  std::fprintf(stderr, "tarn on %s: %s, %lld threads, %s, %s (%s)\n", config.run.device.c_str(),
               cpu.processor.c_str(), static_cast<long long>(cpu.threads),
               cpu.instruction_set.c_str(), cpu.blas.c_str(), cpu.blas_core.c_str());
  if (!cpu.advice.empty()) std::fprintf(stderr, "note: %s\n", cpu.advice.c_str());
}

// Two steps on the first batches: the second is the one to time, with its memory in place.
int dry_run(const Config& config, const std::string& weights) {
  const auto task = make_ready_task(config, parse_device(config.run.device));
  if (!weights.empty()) load_weights(weights, task->model());
  const auto optimizer = optimizer_for(config, task->model());
  double seconds = 0;
  std::int64_t tokens = 0;
  for (int i = 0; i < 2; ++i) {
    const auto start = std::chrono::steady_clock::now();
    ad::Tape tape;
    tokens = run_batches(*task, config, 0, tape).tokens;
    optimizer->step(0);
    seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  const auto peak = static_cast<double>(allocator(Device::cpu()).stats().peak);
  std::printf("%s: %lld parameters, %lld steps of %lld tokens\n", config.run.name.c_str(),
              static_cast<long long>(parameter_count(task->model())),
              static_cast<long long>(config.train.steps), static_cast<long long>(tokens));
  std::printf("a step takes about %.3f s and %.0f MB; all of them about %.1f minutes\n", seconds,
              peak / 1e6, seconds * static_cast<double>(config.train.steps) / 60);
  return 0;
}

}  // namespace

int train_command(const TrainCommand& command) {
  TARN_CHECK_AS(ConfigError, command.weights.empty() || !command.resume,
                "--weights excludes --resume: a run that goes on has weights of its own");
  const Config config = load_config(command.config, command.set);
  parse_device(config.run.device);  // here, before anything is printed or made
  kernels::set_cpu_threads(config.run.threads);
  print_backend(config);
  if (command.dry_run) return dry_run(config, command.weights);
  const std::filesystem::path folder =
      command.out.empty() ? std::filesystem::path("runs") / config.run.name : command.out;
  std::unique_ptr<Trainer> trainer;
  if (!command.resume) {
    trainer = Trainer::start(config, folder, command.weights);
  } else if (*command.resume == "latest") {
    trainer = Trainer::resume(config, folder, std::nullopt);
  } else {
    trainer = Trainer::resume(config, folder, *command.resume);
  }
  const SignalWatch watch;  // from here on there is something to save
  const TrainOutcome outcome = trainer->run();
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

}  // namespace tarn::train
