#include <cstdio>

#include "core/build_info.h"
#include "core/check.h"
#include "core/device_runtime.h"
#include "kernels/backend.h"
#include "train/program/commands.h"
#include "train/run/checkpoint_folder.h"
#include "train/run/run_list.h"

namespace tarn::train {
namespace {

namespace fs = std::filesystem;

// Empty if the path is a run or a checkpoint itself, or holds none.
std::string describe_folder_of_runs(const fs::path& path) {
  const bool itself = fs::exists(path / Checkpoint::kStateFile) || fs::exists(path / "latest") ||
                      fs::exists(path / "checkpoints");
  return itself || !fs::is_directory(path) ? "" : describe_runs(path);
}

// "cpu, cuda:0 NVIDIA H100 80GB HBM3", or why there is the CPU alone.
std::string describe_devices() {
  const DeviceRuntime* cuda = device_runtime(DeviceKind::cuda);
  if (cuda == nullptr) return "cpu (this build has no CUDA backend)";
  const std::int32_t count = cuda->count();
  if (count == 0) return message("cpu (", cuda->why_none(), ")");
  std::string devices = "cpu";
  for (std::int32_t i = 0; i < count; ++i) {
    devices += ", " + kernels::describe(Device::cuda(i));
  }
  return devices;
}

}  // namespace

int trace_command(const TraceCommand& command) {
  const Config config = load_config(command.config, command.set);
  kernels::set_cpu_threads(config.run.threads);
  trace(config, command.request);
  return 0;
}

int info_command(const InfoCommand& command) {
  if (!command.target.empty()) {
    const std::string runs = describe_folder_of_runs(command.target);
    if (!runs.empty()) {
      std::fputs(runs.c_str(), stdout);
      return 0;
    }
    const Checkpoint checkpoint =
        open_checkpoint(command.target, Prefer::latest, Checkpoint::Use::all);
    std::fputs(checkpoint.summary().c_str(), stdout);
    return 0;
  }
  const kernels::CpuBackend cpu = kernels::cpu_backend();
  std::printf("tarn %s (commit %s), %s, %s\n", kVersion, kGitCommit, kBuildType, kCompiler);
  std::printf("processor        %s\n", cpu.processor.c_str());
  std::printf("instruction set  %s\n", cpu.instruction_set.c_str());
  std::printf("threads          %lld, %s\n", static_cast<long long>(cpu.threads),
              cpu.threads_reason.c_str());
  std::printf("waiting          a thread without work %s\n", cpu.waiting.c_str());
  std::printf("blas             %s, core %s, one thread a call\n", cpu.blas.c_str(),
              cpu.blas_core.c_str());
  std::printf("devices          %s\n", describe_devices().c_str());
  if (!cpu.advice.empty()) std::printf("note: %s\n", cpu.advice.c_str());
  return 0;
}

int config_command(const ConfigCommand& command) {
  std::fputs((command.markdown ? key_docs_markdown() : describe_key(command.key)).c_str(), stdout);
  return 0;
}

}  // namespace tarn::train
