// Streams, events and graphs: queued work, done when something waits for it.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "tests/emulator/runtime.h"

namespace emulator {

using Work = std::function<void()>;

// What cudaGetLastError() returns next.
void set_error(cudaError_t error);

struct Graph {
  std::vector<Work> work;
};

class Stream {
 public:
  Stream(int device, bool blocking);  // blocking: ordered with the device's default stream
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // The stream that a handle means: null is the default stream of the present device.
  static Stream* of(cudaStream_t handle);
  static void finish_device(int device);

  int device() const { return device_; }
  // Queues work behind all that is queued, or adds it to the graph that is captured.
  void add(Work work);
  // How much was queued so far; finish(n) does the first n of it.
  std::uint64_t added() const { return added_; }
  bool finished(std::uint64_t count) const { return done_ >= count; }
  void finish(std::uint64_t count);
  void finish() { finish(added_); }
  bool do_one();  // one piece of work; false if there is none

  void begin_capture() { captured_ = std::make_unique<Graph>(); }
  bool capturing() const { return captured_ != nullptr; }
  std::unique_ptr<Graph> end_capture() { return std::move(captured_); }

 private:
  void wait_for_default_order();

  int device_;
  bool blocking_;
  std::deque<Work> queue_;
  std::uint64_t added_ = 0, done_ = 0;
  std::unique_ptr<Graph> captured_;
};

struct Event {
  Stream* stream = nullptr;  // of the latest record
  std::uint64_t position = 0;
  std::chrono::steady_clock::time_point passed;
};

}  // namespace emulator
