// Whether the processes of a run would compute the same.
#pragma once

#include "train/config/config.h"
#include "train/distributed/communicator.h"
#include "train/tasks/task.h"

namespace tarn::train {

// ConfigError, in all of them, that names the first difference between two processes in what
// decides the bits: the program, the instruction set, the config and the data. Paths and threads
// may differ.
void check_alike(Communicator& ranks, const Config& config, const Task& task);

}  // namespace tarn::train
