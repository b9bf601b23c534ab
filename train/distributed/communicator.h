// The processes of a run as one of them sees them: who it is, and what all of them do together.
// Every function is to be called by all of them, in the same order, and by one thread at a time; a
// process alone needs no messages.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/check.h"
#include "core/tensor.h"
#include "train/distributed/transport.h"

namespace tarn::train {

// Another process of the run did not answer. The message names its rank and its host.
class RankLost : public Error {
 public:
  using Error::Error;
};

class Communicator {
 public:
  Communicator() = default;  // a process alone
  explicit Communicator(std::unique_ptr<Transport> transport);

  int rank() const { return transport_ ? transport_->rank() : 0; }
  int size() const { return transport_ ? transport_->size() : 1; }
  bool alone() const { return size() == 1; }
  bool first() const { return rank() == 0; }  // which writes the files, and speaks for all
  std::string describe(int rank) const;       // "rank 2 on node7"
  const std::string& host(int rank) const { return hosts_[static_cast<std::size_t>(rank)]; }
  int place_on_host() const;  // how many lower ranks are on this one's host
  std::int64_t bytes_sent() const { return bytes_sent_; }
  // Whether exchange() may be called by another thread than the one that made this.
  bool serves_any_thread() const { return transport_->serves_any_thread(); }

  // How long to wait for an answer; 0: for ever.
  void set_timeout(double seconds) { timeout_ = seconds; }
  double timeout() const { return timeout_; }

  // Sends and receives all of these; within that share of the timeout, else RankLost.
  void exchange(const std::vector<Outgoing>& sends, const std::vector<Incoming>& receives,
                double share = 1);
  // Where devices were connected (connect_devices.h): asks this process's to send and receive all
  // of these in its side queue; and waits until all that was asked for is done. RankLost, if one is
  // not done within its share of the timeout.
  void ask_devices(const std::vector<Outgoing>& sends, const std::vector<Incoming>& receives,
                   double share = 1);
  void wait_for_devices() { check(devices_->wait()); }
  void use(std::unique_ptr<DeviceTransport> devices) { devices_ = std::move(devices); }
  bool connects_devices() const { return devices_ != nullptr; }
  // What they were asked for and did not do is taken back: nobody waits for it any more.
  void disconnect_devices() { devices_.reset(); }
  // What the first process has, to all.
  void broadcast(std::span<std::byte> bytes);
  std::string broadcast(const std::string& text);
  void broadcast(const Tensor& tensor);  // contiguous; the elements of the others are replaced
  // The texts of all processes, in the order of their ranks, on the first; nothing on the others.
  std::vector<std::string> gather(const std::string& text);
  // The largest of the numbers.
  std::int64_t largest(std::int64_t number);

  // Runs the work, which sends no messages, in each process. If it throws in one of them, the error
  // of the lowest rank is thrown in all, and names the rank unless all failed in the same way.
  void together(const std::function<void()>& work);
  // Whether the last error is known to all.
  bool failed_together() const { return failed_together_; }

  void finish();
  void abort(int code) { transport_->abort(code); }  // ends all processes, wherever they are

 private:
  void count(const std::vector<Outgoing>& sends);
  void check(const std::optional<Fault>& fault) const;
  void send(int to, const std::string& text);
  std::string receive(int from);

  std::unique_ptr<Transport> transport_;
  std::unique_ptr<DeviceTransport> devices_;
  std::vector<std::string> hosts_;
  double timeout_ = 60;
  std::int64_t bytes_sent_ = 0;
  bool failed_together_ = false;
};

}  // namespace tarn::train
