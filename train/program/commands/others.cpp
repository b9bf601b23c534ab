#include <cstdio>

#include "core/build_info.h"
#include "kernels/backend.h"
#include "train/program/commands.h"
#include "train/run/checkpoint_folder.h"

namespace tarn::train {

int trace_command(const TraceCommand& command) {
  const Config config = load_config(command.config, command.set);
  kernels::set_cpu_threads(config.run.threads);
  trace(config, command.request);
  return 0;
}

int info_command(const InfoCommand& command) {
  if (!command.target.empty()) {
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
  std::printf("devices          cpu (this build has no CUDA backend)\n");
  if (!cpu.advice.empty()) std::printf("note: %s\n", cpu.advice.c_str());
  return 0;
}

int config_command(const ConfigCommand& command) {
  std::fputs((command.markdown ? key_docs_markdown() : describe_key(command.key)).c_str(), stdout);
  return 0;
}

}  // namespace tarn::train
