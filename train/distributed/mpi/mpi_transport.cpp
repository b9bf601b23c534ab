// Messages by MPI. A module of its own, which the program loads only when mpirun has started it:
// what MPI needs is then needed by nobody else.
#include <mpi.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <vector>

#include "train/distributed/patience.h"
#include "train/distributed/transport.h"

namespace tarn::train {
namespace {

constexpr std::size_t kMostBytes = std::size_t{1} << 30;  // MPI counts in int

std::string error_text(int error) {
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  MPI_Error_string(error, text, &length);
  return {text, static_cast<std::size_t>(length)};
}

class MpiTransport final : public Transport {
 public:
  MpiTransport() {
    MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &thread_support_);
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
    MPI_Comm_size(MPI_COMM_WORLD, &size_);
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }

  bool serves_any_thread() const override { return thread_support_ >= MPI_THREAD_SERIALIZED; }

  std::string host() const override {
    char name[MPI_MAX_PROCESSOR_NAME];
    int length = 0;
    MPI_Get_processor_name(name, &length);
    return {name, static_cast<std::size_t>(length)};
  }

  std::optional<Fault> exchange(std::span<const Outgoing> sends, std::span<const Incoming> receives,
                                double seconds) override {
    requests_.clear();
    peers_.clear();
    std::optional<Fault> fault;
    const auto start = [&](int peer, std::size_t bytes, const auto& begin) {
      for (std::size_t first = 0; first < bytes && !fault; first += kMostBytes) {
        requests_.push_back(MPI_REQUEST_NULL);
        peers_.push_back(peer);
        const int error = begin(first, static_cast<int>(std::min(kMostBytes, bytes - first)));
        if (error != MPI_SUCCESS) fault = Fault{peer, "cannot be reached: " + error_text(error)};
      }
    };
    for (const Incoming& receive : receives) {
      start(receive.from, receive.bytes.size(), [&](std::size_t first, int count) {
        return MPI_Irecv(receive.bytes.data() + first, count, MPI_BYTE, receive.from, 0,
                         MPI_COMM_WORLD, &requests_.back());
      });
    }
    for (const Outgoing& send : sends) {
      start(send.to, send.bytes.size(), [&](std::size_t first, int count) {
        return MPI_Isend(send.bytes.data() + first, count, MPI_BYTE, send.to, 0, MPI_COMM_WORLD,
                         &requests_.back());
      });
    }
    return fault ? fault : wait(seconds);
  }

  void finish() override { MPI_Finalize(); }

  [[noreturn]] void abort(int code) override {
    // If the others' hosts cannot be reached, MPI may try for ever.
    std::signal(SIGALRM, SIG_DFL);
    alarm(kAbortSeconds);
    MPI_Abort(MPI_COMM_WORLD, code);
    _exit(code);
  }

 private:
  static constexpr unsigned kAbortSeconds = 5;

  std::optional<Fault> wait(double seconds) {
    const Deadline deadline(seconds);
    Patience patience;
    while (true) {
      for (std::size_t i = 0; i < requests_.size(); ++i) {
        int done = 0;
        const int error = MPI_Test(&requests_[i], &done, MPI_STATUS_IGNORE);
        if (error != MPI_SUCCESS) return Fault{peers_[i], "was lost: " + error_text(error)};
      }
      const auto open = std::find_if(requests_.begin(), requests_.end(),
                                     [](MPI_Request r) { return r != MPI_REQUEST_NULL; });
      if (open == requests_.end()) return std::nullopt;
      if (deadline.passed()) {
        return Fault{peers_[static_cast<std::size_t>(open - requests_.begin())],
                     no_answer(seconds)};
      }
      patience.wait();
    }
  }

  int rank_ = 0, size_ = 1, thread_support_ = MPI_THREAD_SINGLE;
  std::vector<MPI_Request> requests_;
  std::vector<int> peers_;  // of the requests
};

}  // namespace
}  // namespace tarn::train

extern "C" tarn::train::Transport* tarn_mpi_transport() { return new tarn::train::MpiTransport; }
