// Programs that mpirun starts several times, as one.
#pragma once

#include <functional>
#include <string_view>

#include "train/distributed/communicator.h"

namespace tarn::train {

// Runs the work: in a process alone or, under mpirun, in one of several. Of these only the first
// prints. An error that all know of is thrown; after any other it is printed with the rank and the
// host, and all processes end. Throws ConfigError where this build has no MPI.
int run_as_rank(const std::function<int(Communicator&)>& work);

// ConfigError under mpirun with several processes, for a command that is one process's work.
void refuse_ranks(std::string_view command);

}  // namespace tarn::train
