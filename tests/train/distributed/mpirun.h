// The program under mpirun.
#pragma once

#include <algorithm>
#include <csignal>
#include <fstream>
#include <functional>

#include "core/check.h"
#include "tests/support/paths.h"
#include "tests/train/tiny_run.h"

namespace tarn::test {

// Open MPI unloads its plug-ins before it ends, so that what they never gave back cannot be told by
// its library's name: under the address sanitizer leaks are not looked for.
inline const Environment kMpirun = {{"OMPI_ALLOW_RUN_AS_ROOT", "1"},
                                    {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"},
                                    {"OMPI_MCA_btl_vader_single_copy_mechanism", "none"},
                                    {"ASAN_OPTIONS", "verify_asan_link_order=0:detect_leaks=0"}};

inline bool has_mpi() {
  static const bool has = Program::of_command({"sh", "-c", "command -v mpirun"}).wait().code == 0 &&
                          std::filesystem::exists(program().parent_path() / "tarn_mpi.so");
  if (!has) MESSAGE("skipped: there is no mpirun here, or this build has no MPI");
  return has;
}

inline std::vector<std::string> command_of(int ranks, const Arguments& arguments) {
  std::vector<std::string> words{"mpirun", "--oversubscribe",     "--bind-to",       "none",
                                 "-n",     std::to_string(ranks), program().string()};
  words.insert(words.end(), arguments.begin(), arguments.end());
  return words;
}

inline Outcome run_ranks(int ranks, const Arguments& arguments,
                         const Environment& environment = kMpirun) {
  return Program::of_command(command_of(ranks, arguments), environment).wait();
}

inline Outcome run_ranks_ok(int ranks, const Arguments& arguments,
                            const Environment& environment = kMpirun) {
  Outcome outcome = run_ranks(ranks, arguments, environment);
  INFO(outcome.err);
  REQUIRE(outcome.code == 0);
  return outcome;
}

// Refused by all, and said once.
inline void check_ranks_refused(int ranks, const Arguments& arguments, const std::string& part) {
  const Outcome outcome = run_ranks(ranks, arguments);
  INFO(outcome.err);
  CHECK(outcome.code == 2);
  CHECK(outcome.out == "");
  CHECK(contains(outcome.err, part));
  CHECK(outcome.err.find(part) == outcome.err.rfind(part));
}

// The processes of a run: mpirun's children.
inline std::vector<pid_t> ranks_of(const Program& mpirun) {
  std::vector<pid_t> children;
  std::ifstream list(message("/proc/", mpirun.id(), "/task/", mpirun.id(), "/children"));
  for (pid_t child = 0; list >> child;) children.push_back(child);
  return children;
}

inline bool alive(pid_t process) { return kill(process, 0) == 0; }

// Starts the processes and, when `ready` holds, sends a signal to one of them: how the run ends,
// which leaves none of them behind.
inline Outcome signal_rank(int ranks, const Arguments& arguments,
                           const std::function<bool()>& ready, std::size_t victim, int signal,
                           const Environment& environment = kMpirun) {
  Program run = Program::of_command(command_of(ranks, arguments), environment);
  REQUIRE(wait_until(ready));
  const std::vector<pid_t> processes = ranks_of(run);
  REQUIRE(processes.size() == static_cast<std::size_t>(ranks));
  kill(processes[victim], signal);
  const Outcome outcome = run.wait(30);
  CHECK(wait_until([&] { return std::none_of(processes.begin(), processes.end(), alive); }, 10));
  return outcome;
}

}  // namespace tarn::test
