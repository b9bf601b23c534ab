#include "train/distributed/launch.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "core/device.h"
#include "train/distributed/module.h"

namespace tarn::train {
namespace {

// How many processes were started: 1 where there is no sign of more, 0 where their number is not
// known.
int processes_started() {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE"}) {
    if (const char* size = std::getenv(name)) return std::atoi(size);
  }
  for (const char* name : {"PMIX_RANK", "PMI_RANK"}) {
    if (std::getenv(name) != nullptr) return 0;
  }
  return 1;
}

std::string several() {
  const int processes = processes_started();
  return processes > 0 ? message(processes, " processes") : "this process as one of several";
}

constexpr const char* kModule = "tarn_mpi.so";
constexpr const char* kMakeTransport = "tarn_mpi_transport";

std::unique_ptr<Transport> load_mpi() {
  const std::filesystem::path module = module_path(kModule);
  TARN_CHECK_AS(ConfigError, std::filesystem::exists(module), "mpirun or srun started ", several(),
                ", and this tarn was built without MPI: each would train by itself. Build it with "
                "-D TARN_MPI=ON (docs/many_machines.md)");
  void* make = nullptr;
  try {
    make = load_function(module, kMakeTransport);
  } catch (const Error& error) {
    fail<ConfigError>("MPI: ", error.what());
  }
  return std::unique_ptr<Transport>(reinterpret_cast<Transport* (*)()>(make)());
}

// Nothing is printed from now on. Returns what standard error was.
int silence() {
  const int kept = dup(STDERR_FILENO);
  const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
  dup2(nowhere, STDOUT_FILENO);
  dup2(nowhere, STDERR_FILENO);
  close(nowhere);
  return kept;
}

}  // namespace

std::string describe_messages() {
  const std::filesystem::path module = module_path(kModule);
  if (!std::filesystem::exists(module)) return "none: this build has no MPI (TARN_MPI=OFF)";
  try {
    load_function(module, kMakeTransport);
  } catch (const Error& error) {
    return message("none, for MPI: ", error.what());
  }
  return "by MPI";
}

int run_as_rank(const std::function<int(Communicator&)>& work) {
  if (processes_started() == 1) {
    Communicator alone;
    return work(alone);
  }
  Communicator ranks(load_mpi());
  set_place_among_processes(ranks.place_on_host());
  const int standard_error = ranks.first() ? STDERR_FILENO : silence();
  // The first prints before any process ends: once one has ended with an error, mpirun kills the
  // others.
  try {
    const int code = work(ranks);
    std::fflush(stdout);  // a failure is noticed when the program ends
    ranks.finish();
    return code;
  } catch (const std::exception& error) {
    const int code = dynamic_cast<const UserError*>(&error) != nullptr ? 2 : 1;
    if (ranks.failed_together()) {
      if (ranks.first()) dprintf(standard_error, "tarn: %s\n", error.what());
      ranks.finish();
      return code;
    }
    dprintf(standard_error, "\ntarn: %s: %s\n", ranks.describe(ranks.rank()).c_str(), error.what());
    ranks.abort(code);
    throw;
  }
}

}  // namespace tarn::train
