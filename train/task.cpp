#include "train/task.h"

#include "train/tasks/copy.h"

namespace tarn::train {

std::unique_ptr<Task> make_task(const Config& config, Device device) {
  if (config.task.kind == "copy") return make_copy_task(config, device);
  fail<ConfigError>("task.kind \"", config.task.kind, "\" is not known; there is copy");
}

double metric(const Metrics& metrics, std::string_view name) {
  for (const Metric& entry : metrics) {
    if (entry.name == name) return entry.value;
  }
  fail<Error>("no metric is called ", name);
}

}  // namespace tarn::train
