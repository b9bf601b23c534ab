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

// What carries messages between processes.
class Carrier {
 public:
  // What went wrong, and with which process.
  struct Fault {
    int rank = 0;
    std::string reason;
  };

  virtual ~Carrier() = default;
  Carrier() = default;
  Carrier(const Carrier&) = delete;
  Carrier& operator=(const Carrier&) = delete;

  // Sends and receives all of these at once. Messages from one process to another arrive in the
  // order in which they were sent. A fault, if not all is done within so many seconds (0: no
  // limit).
  virtual std::optional<Fault> exchange(std::span<const Outgoing> sends,
                                        std::span<const Incoming> receives, double seconds) = 0;
};

// Between the programs' own memories; and what a run's processes are.
class Transport : public Carrier {
 public:
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
  void* queue = nullptr;  // in which it does what it is asked for
};

// Between the memories of devices, in the order of what each device is asked for. Errors that are
// not another process's are std::runtime_error.
class DeviceTransport : public Carrier {
 public:
  virtual std::string name() const = 0;  // with its version, for a reader
  // What the processes find each other by; made by one of them, for all.
  virtual std::string make_id() = 0;
  // To be called by all, before exchange(). An error, if not all did within so many seconds (0: no
  // limit).
  virtual void connect(const std::string& id, const DeviceMember& member, double seconds) = 0;
};

}  // namespace tarn::train
