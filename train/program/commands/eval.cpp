#include <cstdio>
#include <nlohmann/json.hpp>

#include "train/distributed/launch.h"
#include "train/generation/generate.h"
#include "train/program/commands.h"
#include "train/run/alike.h"
#include "train/run/shared_checkpoint.h"
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
Metrics metrics_of(Task& task, Communicator& ranks) {
  const SignalWatch watch;
  return task.evaluate_split(ranks);
}

void print(const EvalCommand& command, const SharedCheckpoint& checkpoint, const Config& config,
           const Metrics& metrics, const std::string& note) {
  if (command.json) {
    nlohmann::ordered_json line{{"checkpoint", checkpoint.name()},
                                {"step", checkpoint.step()},
                                {"split", command.options.split}};
    if (command.options.count > 0) line["count"] = command.options.count;
    if (command.options.recurrent) line["weights"] = config.model.weights;
    for (const Metric& entry : metrics) line[entry.name] = entry.value;
    if (!note.empty()) line["note"] = note;
    std::printf("%s\n", line.dump().c_str());
    return;
  }
  std::printf("step %lld", static_cast<long long>(checkpoint.step()));
  for (const Metric& entry : metrics) std::printf("  %s %.6g", entry.name.c_str(), entry.value);
  std::printf("\n");
  if (!note.empty()) std::printf("%s\n", note.c_str());
}

int evaluate(const EvalCommand& command, Communicator& ranks) try {
  const SharedCheckpoint checkpoint(command.target, ranks);
  const DataFacts& trained = checkpoint.data();
  Config config;
  std::unique_ptr<Task> task;
  ranks.together([&] {
    config = checkpoint.config(command.set);
    check_options(config, command.options);
    take_data_facts(config, checkpoint.config(), trained, checkpoint.name());
    task = make_task(config, ready_device(config, ranks), trained);
    check_same_data(trained, task->data_facts(), checkpoint.name());
  });
  checkpoint.load_model(task->model());
  ranks.together([&] {
    task->open_split(command.options);
    check_same_data(trained, task->data_facts(), checkpoint.name());  // what was not known before
  });
  check_alike(ranks, config, [&] {
    DataFacts facts = facts_of(*task);
    facts["--split"] = command.options.split;
    facts["--count"] = std::to_string(command.options.count);
    facts["--recurrent"] = command.options.recurrent ? "given" : "not given";
    return facts;
  });
  print(command, checkpoint, config, metrics_of(*task, ranks), task->note());
  return 0;
} catch (const Interrupted&) {
  std::fprintf(stderr, "stopped by %s before the evaluation was complete\n",
               signal_name(signal_received()).c_str());
  return signal_exit_code(signal_received());
}

}  // namespace

int eval_command(const EvalCommand& command) {
  return run_as_rank([&](Communicator& ranks) { return evaluate(command, ranks); });
}

}  // namespace tarn::train
