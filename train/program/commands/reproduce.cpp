#include "train/reproduce/reproduce.h"

#include <cstdio>

#include "train/program/commands.h"
#include "train/reproduce/claims.h"
#include "train/run/signals.h"

namespace tarn::train {
namespace {

// A line for each claim: its verdict and the numbers behind it.
void print(const reproduce::Results& results) {
  for (const reproduce::ExperimentResult& experiment : results.experiments) {
    std::printf("%s: %s\n", experiment.name.c_str(), experiment.title.c_str());
    if (!experiment.missing.empty()) std::printf("  %s\n", experiment.missing.c_str());
    for (const reproduce::ClaimResult& claim : experiment.claims) {
      std::printf("  %s: %s", text_of(claim.verdict).c_str(), claim.text.c_str());
      for (const auto& [name, value] : claim.numbers) {
        std::printf("%s%s %.4g", &name == &claim.numbers.front().first ? " (" : ", ", name.c_str(),
                    value);
      }
      if (!claim.numbers.empty()) std::printf(")");
      if (!claim.missing.empty()) std::printf("; %s", claim.missing.c_str());
      std::printf("\n");
    }
  }
}

}  // namespace

int reproduce_command(const ReproduceCommand& command) {
  const SignalWatch watch;
  reproduce::Outcome outcome;
  try {
    outcome = reproduce::reproduce(command.options);
  } catch (const Interrupted&) {
    std::fprintf(stderr, "stopped by %s; the same command goes on\n",
                 signal_name(signal_received()).c_str());
    return signal_exit_code(signal_received());
  }
  print(outcome.results);
  std::printf("the report is %s\n", outcome.report.c_str());
  if (outcome.failed) return 1;
  return command.strict && reproduce::falls_short(outcome.results) ? 1 : 0;
}

}  // namespace tarn::train
