// Gradients that lie in the memory of devices, from process to process.
#pragma once

#include <string>

#include "core/device.h"
#include "train/distributed/communicator.h"

namespace tarn::train {

// Connects the processes' devices with each other, if each process has one of its own and all have
// NCCL; else what is exchanged goes by way of the hosts' memory. Says which, and why not the first:
// "from device to device, by NCCL 2.32.3". To be called by all. Error, in all, where NCCL fails.
std::string connect_devices(Communicator& ranks, Device device);

// What connects CUDA devices of several processes, if each has one of its own: "by NCCL 2.32.3", or
// why nothing does.
std::string describe_device_messages();

}  // namespace tarn::train
