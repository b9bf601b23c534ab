// Streams, events and graphs: queued work, done when something waits for it.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/emulator/runtime.h"

namespace emulator {

using Work = std::function<void()>;
// Work that waits for others: it goes on when it is called, and says whether it is done.
using Attempt = std::function<bool()>;

// What cudaGetLastError() returns next.
void set_error(cudaError_t error);

// The memory that an address meant when a graph was captured.
struct MemoryUse {
  const void* address;
  std::uint64_t allocation;  // its number
};

// A piece of work that was captured, and what it was given.
struct Node {
  std::string name;
  std::vector<MemoryUse> memory;
  Work work;
};

struct Graph {
  std::vector<Node> nodes;
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
  // Queues work behind all that is queued.
  void add(Work work);
  void add_attempt(Attempt attempt);
  // The same, or adds it to the graph that is captured, under a name and with those of the given
  // addresses that lie in memory of a device.
  void add(const char* name, const std::vector<const void*>& addresses, Work work);
  void add(Node node);
  // How much was queued so far; finish(n) does the first n of it.
  std::uint64_t added() const { return added_; }
  bool finished(std::uint64_t count) const { return done_ >= count; }
  void finish(std::uint64_t count);
  void finish() { finish(added_); }
  bool do_one();  // one piece of work, or an attempt at it; false if there is none

  // strict: what may wait for the device is refused meanwhile, such as cudaMalloc.
  void begin_capture(bool strict);
  bool capturing() const { return captured_ != nullptr; }
  std::unique_ptr<Graph> end_capture() { return std::move(captured_); }
  static bool any_capturing_strictly();

 private:
  void wait_for_default_order();
  static void go_on_at_random();

  int device_;
  bool blocking_;
  std::deque<Attempt> queue_;
  std::uint64_t added_ = 0, done_ = 0;
  std::unique_ptr<Graph> captured_;
  bool strict_ = false;
};

struct Event {
  Stream* stream = nullptr;  // of the latest record
  std::uint64_t position = 0;
  std::chrono::steady_clock::time_point passed;
};

}  // namespace emulator
