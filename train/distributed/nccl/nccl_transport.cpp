// Messages between CUDA devices by NCCL. A module of its own, which the program loads only when
// several processes have each a device: what NCCL needs is then needed by nobody else.
#include <cuda_runtime.h>
#include <nccl.h>

#include <deque>
#include <stdexcept>

#include "train/distributed/patience.h"
#include "train/distributed/transport.h"

namespace tarn::train {
namespace {

std::string text_of(ncclResult_t result) {
  return std::string("NCCL: ") + ncclGetErrorString(result);
}

// Without waiting, a call may be under way when it returns.
bool accepted(ncclResult_t result) { return result == ncclSuccess || result == ncclInProgress; }

void check(ncclResult_t result, const char* call) {
  if (!accepted(result)) throw std::runtime_error(std::string(call) + ": " + text_of(result));
}

// Makes a device the current one of this thread until the end of the scope.
class CurrentDevice {
 public:
  explicit CurrentDevice(int device) {
    cudaGetDevice(&before_);
    if (const cudaError_t error = cudaSetDevice(device); error != cudaSuccess) {
      throw std::runtime_error(std::string("cudaSetDevice: ") + cudaGetErrorString(error));
    }
  }
  ~CurrentDevice() { cudaSetDevice(before_); }
  CurrentDevice(const CurrentDevice&) = delete;
  CurrentDevice& operator=(const CurrentDevice&) = delete;

 private:
  int before_ = 0;
};

// No call of NCCL waits for another process: who is missing would never be known. Instead this asks
// again and again how far it is.
class NcclTransport final : public DeviceTransport {
 public:
  ~NcclTransport() override { leave(); }

  std::string name() const override {
    int version = 0;
    check(ncclGetVersion(&version), "ncclGetVersion");
    return "NCCL " + std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) +
           "." + std::to_string(version % 100);
  }

  std::string make_id() override {
    ncclUniqueId id;
    check(ncclGetUniqueId(&id), "ncclGetUniqueId");
    return {id.internal, sizeof id.internal};
  }

  void connect(const std::string& id, const DeviceMember& member, double seconds) override {
    member_ = member;
    const CurrentDevice current(member.device);
    ncclUniqueId unique;
    if (id.size() != sizeof unique.internal) throw std::runtime_error("NCCL: a wrong id");
    id.copy(unique.internal, sizeof unique.internal);
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    check(ncclCommInitRankConfig(&ranks_, member.size, unique, member.rank, &config),
          "ncclCommInitRankConfig");
    const Deadline deadline(seconds);
    Patience patience;
    for (ncclResult_t state = ncclInProgress; state == ncclInProgress; patience.wait()) {
      check(ncclCommGetAsyncError(ranks_, &state), "ncclCommGetAsyncError");
      check(state, "ncclCommInitRankConfig");
      if (deadline.passed()) {
        leave();
        throw std::runtime_error("NCCL: not all processes met within " +
                                 std::to_string(static_cast<int>(seconds)) + " s");
      }
    }
  }

  std::optional<Fault> ask(std::span<const Outgoing> sends, std::span<const Incoming> receives,
                           double seconds) override {
    if (sends.empty() && receives.empty()) return std::nullopt;
    const CurrentDevice current(member_.device);
    // NCCL does not say whom it waits for.
    const int peer = receives.empty() ? sends.front().to : receives.front().from;
    const ncclResult_t asked = ask_at_once(sends, receives);
    std::string reason =
        accepted(asked) ? wait_until_queued(seconds) : "was lost: " + text_of(asked);
    if (!reason.empty()) return give_up({peer, reason});
    const cudaError_t error = under_way_.emplace_back(peer, seconds).record(stream());
    if (error != cudaSuccess) return give_up({peer, lost(error)});
    return std::nullopt;
  }

  std::optional<Fault> wait() override {
    const CurrentDevice current(member_.device);
    for (; !under_way_.empty(); under_way_.pop_front()) {
      const Message& message = under_way_.front();
      std::string reason = wait_for(message);
      if (!reason.empty()) return give_up({message.peer(), reason});
    }
    return std::nullopt;
  }

 private:
  // What was asked for at once.
  class Message {
   public:
    Message(int peer, double seconds) : peer_(peer), seconds_(seconds) {}
    ~Message() {
      if (done_ != nullptr) cudaEventDestroy(done_);
    }
    Message(const Message&) = delete;
    Message& operator=(const Message&) = delete;

    cudaError_t record(cudaStream_t stream) {
      const cudaError_t made = cudaEventCreateWithFlags(&done_, cudaEventDisableTiming);
      return made == cudaSuccess ? cudaEventRecord(done_, stream) : made;
    }
    cudaError_t state() const { return cudaEventQuery(done_); }
    int peer() const { return peer_; }
    double seconds() const { return seconds_; }  // how long to wait for it

   private:
    int peer_;
    double seconds_;
    cudaEvent_t done_ = nullptr;
  };

  cudaStream_t stream() const { return static_cast<cudaStream_t>(member_.queue); }

  static std::string lost(cudaError_t error) {
    return std::string("was lost: ") + cudaGetErrorString(error);
  }

  // As one group: none of them waits for another.
  ncclResult_t ask_at_once(std::span<const Outgoing> sends, std::span<const Incoming> receives) {
    ncclResult_t result = ncclGroupStart();
    for (const Incoming& receive : receives) {
      if (!accepted(result)) break;
      result = ncclRecv(receive.bytes.data(), receive.bytes.size(), ncclUint8, receive.from, ranks_,
                        stream());
    }
    for (const Outgoing& send : sends) {
      if (!accepted(result)) break;
      result = ncclSend(send.bytes.data(), send.bytes.size(), ncclUint8, send.to, ranks_, stream());
    }
    const ncclResult_t ended = ncclGroupEnd();
    return accepted(result) ? ended : result;
  }

  ncclResult_t state() {
    ncclResult_t state = ncclSuccess;
    const ncclResult_t asked = ncclCommGetAsyncError(ranks_, &state);
    return asked == ncclSuccess ? state : asked;
  }

  // Until the stream has the messages, so that what it is asked for next comes behind them. Only
  // the first between two processes takes long: these must meet for it. Returns what went wrong, if
  // anything did.
  std::string wait_until_queued(double seconds) {
    const Deadline deadline(seconds);
    for (Patience patience;; patience.wait()) {
      const ncclResult_t now = state();
      if (now == ncclSuccess) return "";
      if (now != ncclInProgress) return "was lost: " + text_of(now);
      if (deadline.passed()) return no_answer(seconds);
    }
  }

  // Until it is there; what went wrong, if anything did.
  std::string wait_for(const Message& message) {
    const Deadline deadline(message.seconds());
    for (Patience patience;; patience.wait()) {
      if (const ncclResult_t now = state(); !accepted(now)) return "was lost: " + text_of(now);
      const cudaError_t done = message.state();
      if (done == cudaSuccess) return "";
      if (done != cudaErrorNotReady) return lost(done);
      if (deadline.passed()) return no_answer(message.seconds());
    }
  }

  // Memory that the device still uses could not be given back.
  Fault give_up(Fault fault) {
    leave();
    return fault;
  }

  // Nothing is under way any more, or nothing that is wanted.
  void leave() {
    if (ranks_ != nullptr) ncclCommAbort(ranks_);
    ranks_ = nullptr;
    under_way_.clear();
  }

  DeviceMember member_;
  ncclComm_t ranks_ = nullptr;
  std::deque<Message> under_way_;  // in the order of the stream
};

}  // namespace
}  // namespace tarn::train

extern "C" tarn::train::DeviceTransport* tarn_nccl_transport() {
  return new tarn::train::NcclTransport;
}
