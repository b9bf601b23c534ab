// The seam between a run of several processes and what carries their messages. It needs nothing of
// tarn, so that modules that are loaded only where they are wanted can stand behind it.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>

namespace tarn::train {

struct Outgoing {
  int to = 0;
  std::span<const std::byte> bytes;
};
struct Incoming {
  int from = 0;
  std::span<std::byte> bytes;
};

// What went wrong, and with which process.
struct Fault {
  int rank = 0;
  std::string reason;
};

// What carries messages between the programs' own memories; and what a run's processes are.
// Messages from one process to another arrive in the order in which they were sent.
class Transport {
 public:
  virtual ~Transport() = default;
  Transport() = default;
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  // Sends and receives all of these at once. A fault, if not all is done within so many seconds
  // (0: no limit).
  virtual std::optional<Fault> exchange(std::span<const Outgoing> sends,
                                        std::span<const Incoming> receives, double seconds) = 0;

  virtual int rank() const = 0;  // from 0 to size() - 1
  virtual int size() const = 0;
  virtual std::string host() const = 0;  // where this process runs
  // Whether any thread may call exchange(), one at a time; else only the one that made this.
  virtual bool serves_any_thread() const = 0;

  // To be called by all, when nothing is under way any more.
  virtual void finish() = 0;
  // Ends all processes of the run with this exit code, wherever they are.
  [[noreturn]] virtual void abort(int code) = 0;
};

// One of several processes, each of which has a device of its own, and how that device is reached.
struct DeviceMember {
  int rank = 0, size = 1;
  int device = 0;         // its index in this process
  void* queue = nullptr;  // in which it sends and receives
};

// Between the memories of devices, in the order of each one's queue. Messages from one to another
// arrive in the order in which they were asked for. After a fault nothing is under way any more,
// nor is when this is destroyed. Errors that are not another process's are std::runtime_error.
class DeviceTransport {
 public:
  virtual ~DeviceTransport() = default;
  DeviceTransport() = default;
  DeviceTransport(const DeviceTransport&) = delete;
  DeviceTransport& operator=(const DeviceTransport&) = delete;

  virtual std::string name() const = 0;  // with its version, for a reader
  // What the processes find each other by; made by one of them, for all.
  virtual std::string make_id() = 0;
  // To be called by all, before what follows. An error, if not all did within so many seconds (0:
  // no limit).
  virtual void connect(const std::string& id, const DeviceMember& member, double seconds) = 0;
  // Asks the device to send and receive all of these at once when its queue comes to it, and does
  // not wait for that. A fault, if it cannot be asked within so many seconds, for instance since
  // another process was never heard of.
  virtual std::optional<Fault> ask(std::span<const Outgoing> sends,
                                   std::span<const Incoming> receives, double seconds) = 0;
  // Until all that was asked for is done. A fault, if it goes on with none of it for as many
  // seconds as were given with what it is to do next.
  virtual std::optional<Fault> wait() = 0;
};

}  // namespace tarn::train
