// Programs that mpirun starts several times, as one.
#pragma once

#include <functional>
#include <string>

#include "train/distributed/communicator.h"

namespace tarn::train {

// Runs the work: in a process alone or, under mpirun, in one of several. Of these only the first
// prints. In one of several an error is printed here, with the rank and the host unless all know of
// it, and all processes end with its exit code. Throws ConfigError where this build has no MPI.
int run_as_rank(const std::function<int(Communicator&)>& work);

// "by MPI", or why there is one process alone.
std::string describe_messages();

}  // namespace tarn::train
