// A stream of a device beside the one on which it computes.
#pragma once

#include <memory>

#include "core/device_runtime.h"

namespace tarn::cuda {

// Made when it is first asked for, and kept to the program's end.
SideQueue& side_queue(std::int32_t index);

// On the stream to which this thread's work goes.
std::unique_ptr<DeviceMark> mark(std::int32_t index);

}  // namespace tarn::cuda
