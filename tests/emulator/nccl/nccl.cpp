#include <nccl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "tests/emulator/allocations.h"
#include "tests/emulator/checker.h"
#include "tests/emulator/faults.h"
#include "tests/emulator/nccl/ranks.h"
#include "tests/emulator/stream.h"

namespace emulator {
namespace {

std::size_t size_of(ncclDataType_t type) {
  switch (type) {
    case ncclInt8:
    case ncclUint8:
      return 1;
    case ncclInt32:
    case ncclFloat32:
      return 4;
    case ncclInt64:
    case ncclFloat64:
      return 8;
  }
  return 0;
}

ncclResult_t refuse(ncclResult_t error, const std::string& text) {
  report(FaultKind::usage, text);
  return error;
}

// A send or a receive.
struct Call {
  bool sends;
  void* memory;
  NcclCount count;
  std::size_t bytes;
  int peer;
  NcclRanks* ranks;
  Stream* stream;
  bool matched = false, done = false;
  const char* name() const { return sends ? "ncclSend" : "ncclRecv"; }
};

// Calls that are done at once: each process says what it expects and offers, and bytes move when
// both sides of a message have spoken, as if nothing lay between them.
class Group {
 public:
  explicit Group(std::vector<Call> calls)
      : ranks_(*calls.front().ranks), calls_(std::move(calls)) {}

  // Whether it is done, or was given up.
  bool go_on() {
    if (ranks_.aborted()) return true;
    if (!begun_) begin();
    ranks_.move();
    for (Call& call : calls_) {
      if (!call.done && !go_on(call)) return true;
    }
    const bool all_sent = ranks_.move();
    return all_sent &&
           std::all_of(calls_.begin(), calls_.end(), [](const Call& c) { return c.done; });
  }

 private:
  // All that is expected is said first, so that an offer shows that nothing else is.
  void begin() {
    begun_ = true;
    for (const Call& call : calls_) {
      if (!call.sends) ranks_.expect(call.peer, call.count);
    }
    for (const Call& call : calls_) {
      if (call.sends) ranks_.offer(call.peer, call.count);
    }
  }

  // False if the group is given up.
  bool go_on(Call& call) {
    NcclPeer& peer = ranks_.peer(call.peer);
    auto& others = call.sends ? peer.expected : peer.offered;
    if (!call.matched && !others.empty()) {
      const NcclCount other = others.front();
      others.pop_front();
      call.matched = true;
      if (other != call.count) return give_up_mismatch(call, other);
      if (call.sends) {
        check_read(call.memory, call.bytes, call.name());
        ranks_.send(call.peer, call.memory, call.bytes);
        call.done = true;
      }
    }
    if (!call.sends && !peer.bytes.empty()) {
      check_write(call.memory, call.bytes, call.name());
      std::memcpy(call.memory, peer.bytes.front().data(), call.bytes);
      peer.bytes.pop_front();
      call.done = true;
    }
    if (call.done) return true;
    if (peer.gone) ranks_.fail(ncclRemoteError);  // and the device waits until this is aborted
    const bool receives = std::any_of(calls_.begin(), calls_.end(), [&](const Call& other) {
      return !other.sends && !other.done && other.peer == call.peer;
    });
    if (!call.sends || call.matched || peer.offered.empty() || receives) return true;
    return give_up(
        text_of("ncclSend to rank %d, which sends too: each waits for the other to "
                "receive; calls of one group do not wait for each other",
                call.peer));
  }

  bool give_up_mismatch(const Call& call, const NcclCount& other) {
    return give_up(text_of("%s of %zu elements of type %d %s rank %d, which has %zu of type %d",
                           call.name(), static_cast<std::size_t>(call.count.count), call.count.type,
                           call.sends ? "to" : "from", call.peer,
                           static_cast<std::size_t>(other.count), other.type));
  }

  bool give_up(const std::string& text) {
    ranks_.fail(refuse(ncclInvalidUsage, text));
    return false;
  }

  NcclRanks& ranks_;
  std::vector<Call> calls_;
  bool begun_ = false;
};

int g_depth = 0;  // of groups that were started
std::vector<Call> g_calls;
ncclResult_t g_refused = ncclSuccess;  // the first call of the group that was

ncclResult_t refuse_call(const Call& call) {
  if (!call.ranks->has_peer(call.peer)) {
    return refuse(ncclInvalidArgument, text_of("%s with rank %d, which is this one or is not there",
                                               call.name(), call.peer));
  }
  if (call.ranks->state() != ncclSuccess) {
    return refuse(ncclInvalidUsage, text_of("%s before all ranks have met", call.name()));
  }
  if (call.stream->device() != call.ranks->device() || call.stream->capturing()) {
    return refuse(
        ncclInvalidUsage,
        text_of("%s on a stream of another device, or one that is captured", call.name()));
  }
  const bool one_group = g_calls.empty() || (g_calls.front().ranks == call.ranks &&
                                             g_calls.front().stream == call.stream);
  if (!one_group) {
    return refuse(ncclInvalidUsage, "calls of a group on several streams, which is not emulated");
  }
  const Allocation* memory = device_range(call.memory, call.bytes, call.name());
  if (memory == nullptr) return ncclInvalidArgument;
  if (memory->device != call.ranks->device()) {
    return refuse(ncclInvalidArgument, text_of("%s of memory of device %d by device %d",
                                               call.name(), memory->device, call.ranks->device()));
  }
  return ncclSuccess;
}

ncclResult_t add(const Call& call) {
  ncclGroupStart();
  const ncclResult_t refused = refuse_call(call);
  if (refused == ncclSuccess) g_calls.push_back(call);
  if (g_refused == ncclSuccess) g_refused = refused;
  const ncclResult_t ended = ncclGroupEnd();
  return refused == ncclSuccess ? ended : refused;
}

}  // namespace
}  // namespace emulator

using namespace emulator;

ncclResult_t ncclGetVersion(int* version) {
  *version = 23203;
  return ncclSuccess;
}
const char* ncclGetErrorString(ncclResult_t result) {
  switch (result) {
    case ncclSuccess:
      return "no error";
    case ncclInvalidArgument:
      return "invalid argument";
    case ncclInvalidUsage:
      return "invalid usage";
    case ncclRemoteError:
      return "remote process exited or there was a network error";
    case ncclInProgress:
      return "NCCL operation in progress";
    default:
      return "failure";
  }
}

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  *id = {};
  const auto now = std::chrono::steady_clock::now().time_since_epoch().count();
  std::snprintf(id->internal, sizeof id->internal, "emulated nccl %d.%lld", getpid(),
                static_cast<long long>(now));
  return ncclSuccess;
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t* ranks, int size, ncclUniqueId id, int rank,
                                    ncclConfig_t* config) {
  *ranks = nullptr;
  if (size < 1 || rank < 0 || rank >= size) {
    return refuse(ncclInvalidArgument, text_of("ncclCommInitRank of rank %d of %d", rank, size));
  }
  if (config->blocking != 0) {
    return refuse(ncclInvalidUsage, "ncclCommInitRank that waits, which is not emulated");
  }
  int device = 0;
  cudaGetDevice(&device);
  auto made = std::make_unique<NcclRanks>(id, rank, size, device);
  if (const std::string taken = made->enter(); !taken.empty()) {
    return refuse(ncclInvalidUsage, text_of("ncclCommInitRank: %s", taken.c_str()));
  }
  *ranks = made.release();
  return (*ranks)->state();
}
ncclResult_t ncclCommGetAsyncError(ncclComm_t ranks, ncclResult_t* state) {
  *state = ranks->state();
  return ncclSuccess;
}
ncclResult_t ncclCommAbort(ncclComm_t ranks) {
  static std::vector<std::unique_ptr<NcclRanks>> aborted;  // queued work may still name them
  ranks->abort();
  aborted.emplace_back(ranks);
  return ncclSuccess;
}

ncclResult_t ncclGroupStart() {
  ++g_depth;
  return ncclSuccess;
}
ncclResult_t ncclGroupEnd() {
  if (g_depth == 0) return refuse(ncclInvalidUsage, "ncclGroupEnd without ncclGroupStart");
  if (--g_depth > 0) return ncclSuccess;
  std::vector<Call> calls = std::exchange(g_calls, {});
  if (const ncclResult_t refused = std::exchange(g_refused, ncclSuccess); refused != ncclSuccess) {
    return refused;
  }
  if (calls.empty()) return ncclSuccess;
  Stream* stream = calls.front().stream;
  stream->add_attempt(
      [group = std::make_shared<Group>(std::move(calls))] { return group->go_on(); });
  return ncclSuccess;
}

ncclResult_t ncclSend(const void* from, std::size_t count, ncclDataType_t type, int peer,
                      ncclComm_t ranks, cudaStream_t stream) {
  return add({true,
              const_cast<void*>(from),
              {count, type},
              count * size_of(type),
              peer,
              ranks,
              Stream::of(stream)});
}
ncclResult_t ncclRecv(void* to, std::size_t count, ncclDataType_t type, int peer, ncclComm_t ranks,
                      cudaStream_t stream) {
  return add({false, to, {count, type}, count * size_of(type), peer, ranks, Stream::of(stream)});
}
