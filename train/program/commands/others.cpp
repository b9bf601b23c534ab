#include <cstdio>

#include "kernels/backend.h"
#include "train/program/commands.h"

namespace tarn::train {

int trace_command(const TraceCommand& command) {
  const Config config = load_config(command.config, command.set);
  kernels::set_cpu_threads(config.run.threads);
  trace(config, command.request);
  return 0;
}

int config_command(const ConfigCommand& command) {
  std::fputs((command.markdown ? key_docs_markdown() : describe_key(command.key)).c_str(), stdout);
  return 0;
}

}  // namespace tarn::train
