#include <cstdio>
#include <nlohmann/json.hpp>

#include "kernels/backend.h"
#include "train/generation/generate.h"
#include "train/program/commands.h"
#include "train/run/checkpoint_folder.h"
#include "train/run/progress.h"
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

}  // namespace

int eval_command(const EvalCommand& command) {
  const Checkpoint checkpoint =
      open_checkpoint(command.target, Prefer::best, Checkpoint::Use::model);
  const std::string source = (checkpoint.directory() / "config.toml").string();
  Config config = parse_config(checkpoint.config_toml(), source, command.set);
  check_options(config, command.options);
  kernels::set_cpu_threads(config.run.threads);
  const DataFacts& trained = checkpoint.state().data;
  take_data_facts(config, trained, checkpoint.directory().string());
  const Device device = parse_device(config.run.device);
  announce(device);
  const auto task = make_task(config, device);
  check_same_data(trained, task->data_facts(), checkpoint.directory().string());
  checkpoint.load_model(task->model());
  const Metrics metrics = task->evaluate_split(command.options);
  // Again, for what was not known before the split was read.
  check_same_data(trained, task->data_facts(), checkpoint.directory().string());
  const std::string note = task->note();
  if (command.json) {
    nlohmann::ordered_json line{{"checkpoint", checkpoint.directory().string()},
                                {"step", checkpoint.state().step},
                                {"split", command.options.split}};
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
}

}  // namespace tarn::train
