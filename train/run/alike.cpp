#include "train/run/alike.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "core/build_info.h"
#include "core/io/json.h"
#include "kernels/backend.h"

namespace tarn::train {
namespace {

using nlohmann::ordered_json;

// What a process may have of its own.
constexpr std::array kPrivate = {"run.threads", "run.device", "task.data", "speech.cache",
                                 "speech.phones"};

ordered_json description(const Config& config, const DataFacts& facts) {
  const kernels::CpuBackend cpu = kernels::cpu_backend();
  ordered_json all = {{"tarn's version", kVersion},
                      {"tarn's commit", kGitCommit},
                      {"the compiler", kCompiler},
                      {"the build type", kBuildType},
                      {"the kind of device", name_of(parse_device(config.run.device).kind)},
                      {"the instruction set", cpu.instruction_set},
                      {"the BLAS", cpu.blas + " " + cpu.blas_core}};
  for (const KeyValues& row : all_keys(std::array{config})) {
    if (std::find(kPrivate.begin(), kPrivate.end(), row.key) == kPrivate.end())
      all[row.key] = row.values[0];
  }
  for (const auto& [fact, value] : facts) all[fact] = value;
  return all;
}

}  // namespace

DataFacts facts_of(const Task& task) {
  DataFacts facts = task.data_facts();
  facts.merge(task.data_checksums());
  return facts;
}

void check_alike(Communicator& ranks, const Config& config,
                 const std::function<DataFacts()>& facts) {
  if (ranks.alone()) return;
  std::string mine;
  ranks.together([&] { mine = description(config, facts()).dump(); });
  const std::vector<std::string> texts = ranks.gather(mine);
  ranks.together([&] {
    for (std::size_t rank = 1; rank < texts.size(); ++rank) {
      if (texts[rank] == mine) continue;
      const auto here = parse_ordered_json(mine, "rank 0");
      const auto there = parse_ordered_json(texts[rank], "another rank");
      for (const auto& [what, value] : here.items()) {
        const std::string other = there.value(what, "missing");
        TARN_CHECK_AS(ConfigError, value == other, what, " is ", other, " for ",
                      ranks.describe(static_cast<int>(rank)), ", and ", value.get<std::string>(),
                      " for ", ranks.describe(0), "; all processes of a run must have the same");
      }
      fail<ConfigError>(ranks.describe(static_cast<int>(rank)), " is of another tarn");
    }
  });
}

}  // namespace tarn::train
