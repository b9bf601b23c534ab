// Work that can be cut into items, shared by the processes of a run.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "train/distributed/communicator.h"

namespace tarn::train {

// Makes items 0 .. count - 1, one a process at a time, and gives them to the first process, which
// takes them in their order: the same items in the same order for any number of processes. What is
// made of an item travels as bytes. To be called by all; an error of one is thrown in all, and
// between two items stop_if_signalled() is asked of all.
void share_work(std::int64_t count, Communicator& ranks,
                const std::function<std::string(std::int64_t)>& make,
                const std::function<void(std::int64_t, const std::string&)>& take);

}  // namespace tarn::train
