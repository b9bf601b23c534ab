#include "core/replay.h"

#include "core/check.h"

namespace tarn {

Replay::~Replay() {
  graph_.reset();
  if (!memory_.empty()) allocator(device_).give_back(memory_);
}

void Replay::run() {
  if (!ran_ || runtime_of(device_).begin_capture == nullptr) {
    ran_ = true;
    return work_();
  }
  if (graph_ == nullptr) capture();
  graph_->launch();
}

void Replay::capture() {
  const DeviceRuntime& runtime = runtime_of(device_);
  Allocator& memory = allocator(device_);
  runtime.begin_capture(device_.index);
  memory.hold();
  try {
    work_();
    memory_ = memory.end_hold();
  } catch (...) {
    memory.cancel_hold();
    try {
      runtime.end_capture(device_.index);
    } catch (const DeviceError&) {  // of a capture that the error spoilt
    }
    throw;
  }
  graph_ = runtime.end_capture(device_.index);
}

}  // namespace tarn
