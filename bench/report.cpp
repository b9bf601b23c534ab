#include <cstdio>
#include <nlohmann/json.hpp>

#include "bench/bench.h"
#include "core/build_info.h"
#include "core/io/file.h"
#include "core/io/standard_streams.h"
#include "kernels/backend.h"

namespace tarn::bench {
namespace {

std::string text_of(const Value& value) {
  char text[32];
  if (const auto* s = std::get_if<std::string>(&value)) return *s;
  if (const auto* i = std::get_if<std::int64_t>(&value)) return std::to_string(*i);
  std::snprintf(text, sizeof text, "%.4g", std::get<double>(value));
  return text;
}

}  // namespace

Report::Report(std::filesystem::path json) : json_(std::move(json)) {
  if (!json_.empty()) check_can_write(json_);
  const kernels::CpuBackend cpu = kernels::cpu_backend();
  std::printf("tarn %s (%s) on %s: %lld threads, %s, %s core %s; medians\n", kVersion, kGitCommit,
              cpu.processor.c_str(), static_cast<long long>(cpu.threads),
              cpu.instruction_set.c_str(), cpu.blas.c_str(), cpu.blas_core.c_str());
  if (!cpu.advice.empty()) std::printf("note: %s\n", cpu.advice.c_str());
}

void Report::add(const Row& row) {
  const bool same_columns =
      !rows_.empty() && rows_.back().size() == row.size() &&
      std::equal(row.begin(), row.end(), rows_.back().begin(),
                 [](const auto& a, const auto& b) { return a.first == b.first; });
  if (!same_columns) {
    std::printf("\n");
    for (const auto& [name, value] : row) std::printf(" %14s", name.c_str());
    std::printf("\n");
  }
  for (const auto& [name, value] : row) std::printf(" %14s", text_of(value).c_str());
  std::printf("\n");
  flush_standard_output();
  rows_.push_back(row);
}

void Report::close() {
  if (json_.empty()) return;
  const kernels::CpuBackend cpu = kernels::cpu_backend();
  nlohmann::ordered_json document{{"tarn", kVersion},
                                  {"commit", kGitCommit},
                                  {"processor", cpu.processor},
                                  {"threads", cpu.threads},
                                  {"instruction_set", cpu.instruction_set},
                                  {"blas", cpu.blas},
                                  {"blas_core", cpu.blas_core},
                                  {"rows", nlohmann::ordered_json::array()}};
  for (const Row& row : rows_) {
    nlohmann::ordered_json entry;
    for (const auto& [name, value] : row) {
      std::visit([&, &key = name](const auto& v) { entry[key] = v; }, value);
    }
    document["rows"].push_back(entry);
  }
  write_file_atomically(json_, document.dump(2) + "\n");
}

}  // namespace tarn::bench
