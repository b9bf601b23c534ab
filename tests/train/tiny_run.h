// A training run of milliseconds, by the program itself, and what two runs are compared by.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/io/file.h"
#include "tests/support/program.h"
#include "tests/support/temp_dir.h"
#include "tests/support/text_file.h"

namespace tarn::test {

inline const char* const kTinyConfig = R"([task]
sequence_length = 16

[model]
layers = 1
heads = 2
head_dim = 8

[train]
batch_size = 4
steps = 60
eval_every = 10
eval_batches = 2
checkpoint_every = 7
keep_last = 2
log_every = 3
)";

// A config file, and room for the folders of runs.
class TinyRuns {
 public:
  TinyRuns() : dir_(fast_directory()) { write_text(config(), kTinyConfig); }

  std::filesystem::path config() const { return dir_ / "config.toml"; }
  std::filesystem::path operator/(const std::string& name) const { return dir_ / name; }

  // The command line of a run in a folder. settings: "section.key=value"; more: other options.
  Arguments train(const std::string& name, const Arguments& settings = {},
                  const Arguments& more = {}) const {
    Arguments arguments{"train", config(), "--out", dir_ / name};
    for (const std::string& setting : settings) {
      arguments.push_back("--set");
      arguments.push_back(setting);
    }
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  Arguments resume(const std::string& name, const Arguments& settings = {}) const {
    return train(name, settings, {"--resume"});
  }
  // As a person would go on after an interruption.
  Arguments go_on(const std::string& name, const Arguments& settings = {}) const {
    const bool holds_run = std::filesystem::exists(dir_ / name / "config.toml");
    return holds_run ? resume(name, settings) : train(name, settings);
  }

 private:
  TempDir dir_;
};

inline std::filesystem::path latest_checkpoint(const std::filesystem::path& run) {
  std::string name = read_file(run / "checkpoints" / "latest");
  name.erase(name.find_last_not_of('\n') + 1);
  return run / "checkpoints" / name;
}

// Empty if the files are equal, else what the difference is.
inline std::string difference(const std::filesystem::path& a, const std::filesystem::path& b) {
  const std::string left = read_file(a), right = read_file(b);
  if (left == right) return "";
  const auto [at, unused] = std::mismatch(left.begin(), left.end(), right.begin(), right.end());
  return a.string() + " and " + b.string() + " differ from byte " +
         std::to_string(at - left.begin()) + " on; they have " + std::to_string(left.size()) +
         " and " + std::to_string(right.size()) + " bytes\n";
}

// The same of two runs: the latest weights and moments, and the whole log.
inline std::string run_difference(const std::filesystem::path& a, const std::filesystem::path& b) {
  const std::filesystem::path left = latest_checkpoint(a), right = latest_checkpoint(b);
  return difference(left / "model.safetensors", right / "model.safetensors") +
         difference(left / "optimizer.safetensors", right / "optimizer.safetensors") +
         difference(a / "metrics.jsonl", b / "metrics.jsonl");
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// Until the condition holds; false after the limit.
template <class Condition>
bool wait_until(const Condition& condition, double limit_seconds = 60) {
  for (double waited = 0; !condition(); waited += 0.002) {
    if (waited > limit_seconds) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

// What a run has logged so far.
inline std::string log_of(const std::filesystem::path& run) {
  const std::filesystem::path file = run / "metrics.jsonl";
  return std::filesystem::exists(file) ? read_file(file) : "";
}

// What the environment asks of a test that can do more or other things.
inline std::int64_t number_from(const char* variable, std::int64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::stoll(text);
}

inline Arguments with(Arguments arguments, const Arguments& more) {
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

inline Outcome run_ok(const Arguments& arguments, const Environment& environment = {}) {
  Outcome outcome = run_program(arguments, environment);
  INFO(outcome.err);
  REQUIRE(outcome.code == 0);
  return outcome;
}

// Refused as the user's mistake: exit code 2, and a message with all the parts.
inline void check_refused(const Arguments& arguments, const std::vector<std::string>& parts) {
  const Outcome outcome = run_program(arguments);
  INFO(outcome.err);
  CHECK(outcome.signal == 0);
  CHECK(outcome.code == 2);
  for (const std::string& part : parts) {
    CAPTURE(part);
    CHECK(contains(outcome.err, part));
  }
}

// The names and contents of all files below, for "as it was before".
inline std::vector<std::pair<std::string, std::string>> snapshot(
    const std::filesystem::path& directory) {
  std::vector<std::pair<std::string, std::string>> all;
  if (!std::filesystem::exists(directory)) return all;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    const bool file = entry.is_regular_file();
    all.emplace_back(entry.path().string(), file ? read_file(entry.path()) : "(a directory)");
  }
  std::sort(all.begin(), all.end());
  return all;
}

}  // namespace tarn::test
