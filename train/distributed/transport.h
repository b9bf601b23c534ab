// The seam between a run of several processes and what carries their messages. It needs nothing of
// tarn, so that a module that is loaded only where it is wanted can stand behind it.
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

class Transport {
 public:
  // What went wrong, and with which process.
  struct Fault {
    int rank = 0;
    std::string reason;
  };

  virtual ~Transport() = default;
  Transport() = default;
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  virtual int rank() const = 0;  // from 0 to size() - 1
  virtual int size() const = 0;
  virtual std::string host() const = 0;  // where this process runs
  // Whether any thread may call exchange(), one at a time; else only the one that made this.
  virtual bool serves_any_thread() const = 0;

  // Sends and receives all of these at once. Messages from one process to another arrive in the
  // order in which they were sent. A fault, if not all is done within so many seconds (0: no
  // limit).
  virtual std::optional<Fault> exchange(std::span<const Outgoing> sends,
                                        std::span<const Incoming> receives, double seconds) = 0;
  // To be called by all, when nothing is under way any more.
  virtual void finish() = 0;
  // Ends all processes of the run with this exit code, wherever they are.
  [[noreturn]] virtual void abort(int code) = 0;
};

}  // namespace tarn::train
