#include "train/tasks/task.h"

#include "train/tasks/copy.h"
#include "train/tasks/images.h"
#include "train/tasks/model.h"
#include "train/tasks/speech.h"

namespace tarn::train {

std::string_view best_metric(std::string_view kind) {
  return kind == "images" ? "bits_per_dim" : kind == "speech" ? "per" : "loss";
}

std::unique_ptr<Task> make_task(const Config& config, Device device, const DataFacts& checkpoint,
                                DType dtype) {
  if (config.task.kind == "copy") return make_copy_task(config, device, dtype);
  if (config.task.kind == "images") return make_image_task(config, device, dtype);
  if (config.task.kind == "speech") return make_speech_task(config, device, checkpoint, dtype);
  fail<ConfigError>("task.kind \"", config.task.kind,
                    "\" is not known; there are copy, images, speech");
}

std::unique_ptr<Task> make_ready_task(const Config& config, Device device,
                                      const DataFacts& checkpoint, DType dtype) {
  check_f32_weights(config.model, "training");
  auto task = make_task(config, device, checkpoint, dtype);
  task->open_data();
  return task;
}

void Task::open_split(const SplitOptions& options) {
  TARN_CHECK_AS(ConfigError, options.split == "test", "--split ", options.split,
                ": this task draws the data of its evaluations, and has no other split than test");
}

double metric(const Metrics& metrics, std::string_view name) {
  for (const Metric& entry : metrics) {
    if (entry.name == name) return entry.value;
  }
  fail<Error>("no metric is called ", name);
}

}  // namespace tarn::train
