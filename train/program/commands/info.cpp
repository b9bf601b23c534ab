#include <cstdio>
#include <nlohmann/json.hpp>

#include "core/build_info.h"
#include "core/check.h"
#include "core/device_runtime.h"
#include "core/io/json.h"
#include "kernels/backend.h"
#include "train/distributed/connect_devices.h"
#include "train/distributed/launch.h"
#include "train/program/commands.h"
#include "train/run/checkpoint_folder.h"
#include "train/run/run_folder.h"
#include "train/run/run_info.h"
#include "train/run/run_list.h"

namespace tarn::train {
namespace {

namespace fs = std::filesystem;

bool is_folder_of_runs(const fs::path& path) {
  const bool of_run = fs::exists(path / Checkpoint::kStateFile) || fs::exists(path / "latest");
  return !of_run && fs::is_directory(path) && !runs_in(path).empty();
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

void print_machine(bool json) {
  const kernels::CpuBackend cpu = kernels::cpu_backend();
  if (json) {
    const nlohmann::ordered_json line{{"tarn", kVersion},
                                      {"commit", kGitCommit},
                                      {"build", kBuildType},
                                      {"compiler", kCompiler},
                                      {"processor", cpu.processor},
                                      {"instruction_set", cpu.instruction_set},
                                      {"bf16_products", kernels::cpu_has_bf16_products()},
                                      {"threads", cpu.threads},
                                      {"threads_reason", cpu.threads_reason},
                                      {"waiting", cpu.waiting},
                                      {"blas", cpu.blas},
                                      {"blas_core", cpu.blas_core},
                                      {"devices", describe_devices()},
                                      {"messages", describe_messages()},
                                      {"device_messages", describe_device_messages()},
                                      {"advice", cpu.advice}};
    std::fputs(json_line(line).c_str(), stdout);
    return;
  }
  std::printf("tarn %s (commit %s), %s, %s\n", kVersion, kGitCommit, kBuildType, kCompiler);
  std::printf("processor        %s\n", cpu.processor.c_str());
  std::printf("instruction set  %s\n", cpu.instruction_set.c_str());
  std::printf("bf16 products    %s\n", kernels::cpu_has_bf16_products() ? "yes" : "no");
  std::printf("threads          %lld, %s\n", static_cast<long long>(cpu.threads),
              cpu.threads_reason.c_str());
  std::printf("waiting          a thread without work %s\n", cpu.waiting.c_str());
  std::printf("blas             %s, core %s, one thread a call\n", cpu.blas.c_str(),
              cpu.blas_core.c_str());
  std::printf("devices          %s\n", describe_devices().c_str());
  std::printf("messages         of processes: %s\n", describe_messages().c_str());
  std::printf("                 of devices: %s\n", describe_device_messages().c_str());
  if (!cpu.advice.empty()) std::printf("note: %s\n", cpu.advice.c_str());
}

}  // namespace

int info_command(const InfoCommand& command) {
  if (command.target.empty()) {
    print_machine(command.json);
    return 0;
  }
  const RunFolder run(command.target);
  if (run.holds_run() && fs::exists(run.config())) {  // else there may be a checkpoint to see
    const std::string text =
        command.json ? run_info_json(command.target) : run_info_text(command.target);
    std::fputs(text.c_str(), stdout);
    return 0;
  }
  if (is_folder_of_runs(command.target)) return print_runs(command.target, command.json);
  const Checkpoint checkpoint =
      open_checkpoint(command.target, Prefer::latest, Checkpoint::Use::all);
  const std::string text =
      command.json ? json_line(checkpoint.summary_json()) : checkpoint.summary();
  std::fputs(text.c_str(), stdout);
  return 0;
}

}  // namespace tarn::train
