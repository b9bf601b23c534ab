// What core asks of a kind of device: memory, copies, waiting. The CPU has one of these and CUDA
// another (core/cuda); nothing else in core knows which it talks to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "core/device.h"

namespace tarn {

// A copy from a device to the program's memory that may still be under way.
class PendingCopy {
 public:
  PendingCopy() = default;
  virtual ~PendingCopy() = default;
  PendingCopy(const PendingCopy&) = delete;
  PendingCopy& operator=(const PendingCopy&) = delete;

  // Waits until the bytes are there; they stay for as long as the copy lives.
  virtual const std::byte* wait() = 0;
};

// A copy to a device that may be made beside what it computes.
class SideCopy {
 public:
  SideCopy() = default;
  virtual ~SideCopy() = default;  // joins, if nothing did
  SideCopy(const SideCopy&) = delete;
  SideCopy& operator=(const SideCopy&) = delete;

  // What the device is asked for from now on is done when the copy has been made.
  virtual void join() = 0;
};

// A queue of a device beside the one in which it computes, for work that waits for other devices.
class SideQueue {
 public:
  SideQueue() = default;
  virtual ~SideQueue() = default;
  SideQueue(const SideQueue&) = delete;
  SideQueue& operator=(const SideQueue&) = delete;

  // From begin() to end() what this thread asks the device for goes to this queue, behind all that
  // the device was asked for before begin(). Nothing that it is asked for later waits for this
  // queue. The allocator knows the order of the computing queue alone: memory that work of
  // this one uses may be allocated as ever, and is to be released after wait().
  virtual void begin() = 0;
  virtual void end() = 0;
  virtual void wait() = 0;  // until all of it is done
  // The runtime's own, for libraries that the device is shared with.
  virtual void* handle() const = 0;
};

// A moment between two things that a device is asked for.
class DeviceMark {
 public:
  DeviceMark() = default;
  virtual ~DeviceMark() = default;
  DeviceMark(const DeviceMark&) = delete;
  DeviceMark& operator=(const DeviceMark&) = delete;

  // From another of the same device, in either queue, to this one; both must be over.
  virtual double seconds_since(const DeviceMark& earlier) const = 0;
};

// Work that a device recorded, to be asked for as a whole.
class DeviceGraph {
 public:
  DeviceGraph() = default;
  virtual ~DeviceGraph() = default;
  DeviceGraph(const DeviceGraph&) = delete;
  DeviceGraph& operator=(const DeviceGraph&) = delete;

  virtual void launch() = 0;
};

// All functions take the index of a device of the kind. Work is done in the order in which it is
// asked for; fill() and copies to a device may still be under way when they return, and copies from
// a device to the program's memory are finished. Failures throw DeviceError with the call's name.
struct DeviceRuntime {
  std::int32_t (*count)();                                   // devices that can be used
  std::string (*describe)(std::int32_t index);               // "NVIDIA H100 80GB", for a reader
  std::string (*why_none)();                                 // what to say when count() is 0
  void* (*allocate)(std::int32_t index, std::size_t bytes);  // nullptr when there is none left
  void (*release)(std::int32_t index, void* block, std::size_t bytes);
  std::int64_t (*free_bytes)(std::int32_t index);  // that allocate() could give; -1: not known
  void (*fill)(std::int32_t index, void* block, int byte, std::size_t bytes);
  // Between the program's memory and a device, or two places of one device.
  void (*copy_in)(std::int32_t index, void* to, const void* from, std::size_t bytes);
  void (*copy_out)(std::int32_t index, void* to, const void* from, std::size_t bytes);
  void (*copy_within)(std::int32_t index, void* to, const void* from, std::size_t bytes);
  // Asks for a copy, which is made when what was asked for before is done, and does not wait for
  // it.
  std::unique_ptr<PendingCopy> (*copy_out_later)(std::int32_t index, const void* from,
                                                 std::size_t bytes);
  // Copies what `from` holds now, when what was asked for before is done, and beside what is asked
  // for afterwards, until join(). Null where a kind computes while it is asked.
  std::unique_ptr<SideCopy> (*copy_in_beside)(std::int32_t index, void* to, const void* from,
                                              std::size_t bytes) = nullptr;
  void (*wait)(std::int32_t index);  // until all that was asked for is done, side queue apart
  // What is asked for between these two is recorded instead of done: kernels, fill() and
  // copy_within(); other copies and wait() fail. Null where a kind has no graphs.
  void (*begin_capture)(std::int32_t index) = nullptr;
  std::unique_ptr<DeviceGraph> (*end_capture)(std::int32_t index) = nullptr;
  // For what several devices do together: a queue for it, when the device comes to what it is asked
  // for next, and the device's address on the machine, which no other has. Null where a kind
  // computes while it is asked.
  SideQueue& (*side_queue)(std::int32_t index) = nullptr;
  std::unique_ptr<DeviceMark> (*mark)(std::int32_t index) = nullptr;
  std::string (*address)(std::int32_t index) = nullptr;
};

// Null for a kind that this build lacks.
const DeviceRuntime* device_runtime(DeviceKind kind);

// The runtime of a device that exists; DeviceError that says why there is none.
const DeviceRuntime& runtime_of(Device device);

}  // namespace tarn
