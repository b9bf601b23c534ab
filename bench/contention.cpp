// What other programs on the machine cost: a training step and a step of generation, alone and with
// busy programs beside, on one thread and on the pool's number of them. The settings take turns, so
// that what else disturbs the machine disturbs all of them.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <functional>
#include <map>
#include <system_error>

#include "bench/bench.h"
#include "core/transfer.h"
#include "kernels/backend.h"
#include "nn/sequence_predictor.h"
#include "train/run/trainer.h"
#include "train/tasks/model.h"

namespace tarn::bench {
namespace {

using Clock = std::chrono::steady_clock;

// Processes that compute without end until this object's. They die with this process.
class BusyPrograms {
 public:
  explicit BusyPrograms(std::int64_t count) {
    const pid_t bench = getpid();
    for (std::int64_t i = 0; i < count; ++i) {
      const pid_t child = fork();
      if (child < 0) throw std::system_error(errno, std::generic_category(), "fork");
      if (child == 0) burn(bench);
      children_.push_back(child);
    }
  }
  ~BusyPrograms() {
    for (const pid_t child : children_) kill(child, SIGKILL);
    for (const pid_t child : children_) waitpid(child, nullptr, 0);
  }
  BusyPrograms(const BusyPrograms&) = delete;
  BusyPrograms& operator=(const BusyPrograms&) = delete;

 private:
  [[noreturn]] static void burn(pid_t bench) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != bench) raise(SIGKILL);  // it died before prctl()
    for (volatile std::int64_t turns = 0;;) turns = turns + 1;
  }

  std::vector<pid_t> children_;
};

using Work = std::function<void()>;

// A batch of 8 of experiments/copy_task/quick.toml unless a config is given: many short kernels.
Work training_step(const StepOptions& options) {
  train::Config config;
  config.task.sequence_length = 32;
  config.model.layers = 2;
  config.model.heads = 4;
  config.train.batch_size = 8;
  if (!options.config.empty()) config = train::load_config(options.config, options.set);
  const std::shared_ptr<train::Task> task =
      train::make_ready_task(config, parse_device(config.run.device));
  const std::shared_ptr<optim::Optimizer> optimizer = train::optimizer_for(config, task->model());
  return [config, task, optimizer, step = std::int64_t{0}]() mutable {
    ad::Tape tape;
    train::run_batches(*task, config, step++, tape);
    optimizer->step(config.optimizer.lr);
  };
}

// The paper's MNIST model, one image.
Work generation_step() {
  nn::SequencePredictorOptions options{.vocabulary = 256, .outputs = 30};
  options.encoder.layers = 8;
  options.max_length = 783;
  const auto model = std::make_shared<nn::SequencePredictor>(nn::Build{}, options);
  const auto state =
      std::make_shared<nn::EncoderState>(model->start(1, model->step_weights(DType::f32)));
  return [model, state, token = from_values<std::int32_t>(std::array{7}, {1}, Device::cpu())] {
    for (nn::AttentionState& layer : state->layers) layer.position = 0;
    model->step(token, *state);
  };
}

// The mean of at least 0.3 s: under contention steps are either undisturbed or very long.
double mean_seconds(const Work& step) {
  step();
  const auto start = Clock::now();
  for (std::int64_t steps = 1;; ++steps) {
    step();
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    if (seconds > 0.3) return seconds / static_cast<double>(steps);
  }
}

}  // namespace

void contention(const ContentionOptions& options, Report& report) {
  const std::int64_t most = kernels::cpu_backend().threads;
  const std::pair<const char*, Work> works[] = {{"train", training_step(options.step)},
                                                {"generate", generation_step()}};
  std::map<std::tuple<std::string, std::int64_t, std::int64_t>, std::vector<double>> seconds;
  for (std::int64_t round = 0; round < options.rounds; ++round) {
    for (const std::int64_t busy : options.busy) {
      const BusyPrograms programs(busy);
      for (const auto& [name, step] : works) {
        for (const std::int64_t threads : {std::int64_t{1}, most}) {
          kernels::set_cpu_threads(threads);
          seconds[{name, busy, threads}].push_back(mean_seconds(step));
        }
      }
    }
  }
  for (const auto& [setting, all] : seconds) {
    const auto& [name, busy, threads] = setting;
    const std::vector<double>& one = seconds.at({name, busy, 1});
    const double best = *std::min_element(all.begin(), all.end());
    report.add({{"bench", "contention"},
                {"step", name},
                {"busy_programs", busy},
                {"threads", threads},
                {"best_ms", best * 1e3},
                {"median_ms", median(all) * 1e3},
                {"best_ratio", best / *std::min_element(one.begin(), one.end())},
                {"median_ratio", median(all) / median(one)}});
  }
}

}  // namespace tarn::bench
