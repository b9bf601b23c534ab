#include "train/tasks/task.h"

#include "train/tasks/copy.h"
#include "train/tasks/images.h"
#include "train/tasks/model.h"
#include "train/tasks/speech.h"

namespace tarn::train {

std::unique_ptr<Task> make_task(const Config& config, Device device) {
  if (config.task.kind == "copy") return make_copy_task(config, device);
  if (config.task.kind == "images") return make_image_task(config, device);
  if (config.task.kind == "speech") return make_speech_task(config, device);
  fail<ConfigError>("task.kind \"", config.task.kind,
                    "\" is not known; there are copy, images, speech");
}

std::unique_ptr<Task> make_ready_task(const Config& config, Device device) {
  check_f32_weights(config.model, "training");
  auto task = make_task(config, device);
  task->open_data();
  return task;
}

Metrics Task::evaluate_split(const SplitOptions& options) {
  TARN_CHECK_AS(ConfigError, options.split == "test", "--split ", options.split,
                ": this task draws the data of its evaluations, and has no other split than test");
  return evaluate();
}

double metric(const Metrics& metrics, std::string_view name) {
  for (const Metric& entry : metrics) {
    if (entry.name == name) return entry.value;
  }
  fail<Error>("no metric is called ", name);
}

}  // namespace tarn::train
