#include "kernels/backend.h"

#include <cblas.h>

#include <filesystem>

#include "core/check.h"
#include "core/io/file.h"
#include "hwy/highway.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/cpu/thread_settings.h"

namespace tarn::kernels {
namespace {

std::string processor_name() {
  const std::filesystem::path file = "/proc/cpuinfo";
  if (!std::filesystem::exists(file)) return "unknown";
  const std::string text = read_file(file);
  const std::size_t line = text.find("model name");
  const std::size_t colon = text.find(": ", line);
  if (line == std::string::npos || colon == std::string::npos) return "unknown";
  return text.substr(colon + 2, text.find('\n', colon) - colon - 2);
}

struct InstructionSet {
  std::string_view name;
  std::int64_t target;
};
constexpr InstructionSet kInstructionSets[] = {
    {"AVX-512", HWY_AVX3}, {"AVX2", HWY_AVX2}, {"portable", HWY_EMU128}};

// Portable code runs on every processor, though Highway does not list it while another set is
// chosen.
bool has(const InstructionSet& set) {
  return set.target == HWY_EMU128 || (hwy::SupportedTargets() & set.target) != 0;
}

void choose_target(std::int64_t target) {
  hwy::SetSupportedTargetsForTest(target);  // 0: what the processor has
  hwy::GetChosenTarget().DeInit();
}

// OpenBLAS kernels of half the width: the usual cause is OPENBLAS_CORETYPE in the environment.
std::string advice_for(const std::string& instructions, const std::string& core) {
  const bool wide = core == "SkylakeX" || core == "Cooperlake" || core == "SapphireRapids";
  if (instructions != "AVX-512" || wide) return "";
  return "OpenBLAS uses its " + core +
         " kernels, but this processor has AVX-512: products can be twice as fast. Unset "
         "OPENBLAS_CORETYPE, or set it to SkylakeX";
}

}  // namespace

CpuBackend cpu_backend() {
  CpuBackend backend;
  backend.processor = processor_name();
  backend.instruction_set = cpu_instruction_sets().front();
  const std::string config = openblas_get_config();  // "OpenBLAS 0.3.21 NO_AFFINITY ..."
  backend.blas = config.substr(0, config.find(' ', config.find(' ') + 1));
  backend.blas_core = openblas_get_corename();
  const cpu::ThreadSettings& settings = cpu::thread_settings();
  backend.threads = cpu::pool_size();
  backend.threads_reason =
      settings.threads == backend.threads ? settings.threads_reason : "as the program asked";
  backend.waiting = settings.waiting;
  backend.advice = advice_for(backend.instruction_set, backend.blas_core);
  return backend;
}

bool cpu_has_bf16_products() {
#if HWY_ARCH_X86
  return (hwy::SupportedTargets() & HWY_AVX3) != 0 && __builtin_cpu_supports("avx512bf16") != 0;
#else
  return false;
#endif
}

std::vector<std::string> cpu_instruction_sets() {
  std::vector<std::string> names;
  for (const InstructionSet& set : kInstructionSets) {
    if (has(set)) names.emplace_back(set.name);
  }
  return names;
}

void set_cpu_instruction_set(std::string_view name) {
  choose_target(0);
  if (name.empty()) return;
  std::string known;
  for (const InstructionSet& set : kInstructionSets) {
    if (!has(set)) continue;
    if (set.name == name) return choose_target(set.target);
    known += known.empty() ? "" : ", ";
    known += set.name;
  }
  fail<UserError>("\"", name,
                  "\" is not an instruction set that this processor can use; there are ", known);
}

}  // namespace tarn::kernels
