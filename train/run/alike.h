// Whether the processes of a run would compute the same.
#pragma once

#include <functional>

#include "train/config/config.h"
#include "train/distributed/communicator.h"
#include "train/tasks/task.h"

namespace tarn::train {

// ConfigError, in all of them, that names the first difference between two processes in what
// decides the bits: the program, the instruction set, the config and the data, of which `facts` are
// what must be the same, and are asked for where there are several. Paths and threads may differ.
void check_alike(Communicator& ranks, const Config& config,
                 const std::function<DataFacts()>& facts);

// Of a task: its data's, and their checksums.
DataFacts facts_of(const Task& task);

}  // namespace tarn::train
