#include "kernels/backend.h"
#include "train/program/commands.h"
#include "train/run/progress.h"

namespace tarn::train {

Device ready_device(const Config& config, Communicator& ranks) {
  ranks.set_timeout(static_cast<double>(config.run.timeout));
  kernels::set_cpu_threads(config.run.threads);
  const Device device = parse_device(config.run.device);
  announce(device, config.model.compute);
  return device;
}

}  // namespace tarn::train
