#include <cstdio>
#include <nlohmann/json.hpp>

#include "kernels/backend.h"
#include "train/distributed/launch.h"
#include "train/generation/generate.h"
#include "train/program/commands.h"
#include "train/run/checkpoint_folder.h"
#include "train/run/progress.h"
#include "train/run/signals.h"
#include "train/tasks/model.h"
#include "train/tasks/task.h"

namespace tarn::train {
namespace {

void check_options(const Config& config, const SplitOptions& options) {
  TARN_CHECK_AS(
      ConfigError, config.task.kind == "images" || (options.count == 0 && !options.recurrent),
      "--count and --recurrent are for models of images; task.kind is \"", config.task.kind, "\"");
  if (!options.recurrent) return check_f32_weights(config.model, "tarn eval without --recurrent");
  TARN_CHECK_AS(ConfigError, generate_modes(config.model.attention).front() != GenerateMode::full,
                "--recurrent: attention \"", config.model.attention,
                "\" cannot be run step by step; causal-linear and full can");
}

// Only here: reading can be left at any point.
Metrics evaluate(Task& task) {
  const SignalWatch watch;
  return task.evaluate_split();
}

}  // namespace

int eval_command(const EvalCommand& command) try {
  refuse_ranks("eval");
  const Checkpoint checkpoint =
      open_checkpoint(command.target, Prefer::best, Checkpoint::Use::model);
  const std::string name = checkpoint.directory().string();
  Config config = checkpoint.config(command.set);
  check_options(config, command.options);
  kernels::set_cpu_threads(config.run.threads);
  const DataFacts& trained = checkpoint.state().data;
  take_data_facts(config, checkpoint.config(), trained, name);
  const Device device = parse_device(config.run.device);
  announce(device, config.model.compute);
  const auto task = make_task(config, device, trained);
  check_same_data(trained, task->data_facts(), name);
  checkpoint.load_model(task->model());
  task->open_split(command.options);
  check_same_data(trained, task->data_facts(), name);  // what was not known before
  const Metrics metrics = evaluate(*task);
  const std::string note = task->note();
  if (command.json) {
    nlohmann::ordered_json line{
        {"checkpoint", name}, {"step", checkpoint.state().step}, {"split", command.options.split}};
    if (command.options.count > 0) line["count"] = command.options.count;
    if (command.options.recurrent) line["weights"] = config.model.weights;
    for (const Metric& entry : metrics) line[entry.name] = entry.value;
    if (!note.empty()) line["note"] = note;
    std::printf("%s\n", line.dump().c_str());
    return 0;
  }
  std::printf("step %lld", static_cast<long long>(checkpoint.state().step));
  for (const Metric& entry : metrics) std::printf("  %s %.6g", entry.name.c_str(), entry.value);
  std::printf("\n");
  if (!note.empty()) std::printf("%s\n", note.c_str());
  return 0;
} catch (const Interrupted&) {
  std::fprintf(stderr, "stopped by %s before the evaluation was complete\n",
               signal_name(signal_received()).c_str());
  return signal_exit_code(signal_received());
}

}  // namespace tarn::train
