#include "tests/emulator/nccl/ranks.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "tests/emulator/faults.h"

namespace emulator {
namespace {

enum class Kind : std::int32_t { expect, offer, bytes };

// Before what follows on a socket.
struct Frame {
  Kind kind;
  NcclCount count;  // of Kind::bytes: how many follow
};

// A name that no file has, and that goes away with the last process that uses it.
struct Address {
  explicit Address(const std::string& name) {
    address.sun_family = AF_UNIX;
    name.copy(address.sun_path + 1, sizeof address.sun_path - 1);
    length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address); }
  sockaddr_un address{};
  socklen_t length = 0;
};

void put(std::vector<char>& out, const Frame& frame) {
  const char* begin = reinterpret_cast<const char*>(&frame);
  out.insert(out.end(), begin, begin + sizeof frame);
}

// Reads and writes what is possible without waiting; whether that was anything.
bool move_bytes(NcclPeer& peer) {
  bool moved = false;
  ssize_t count = 0;
  while (!peer.out.empty() && (count = ::send(peer.socket, peer.out.data(), peer.out.size(),
                                              MSG_DONTWAIT | MSG_NOSIGNAL)) > 0) {
    peer.out.erase(peer.out.begin(), peer.out.begin() + count);
    moved = true;
  }
  if (count < 0 && errno == EPIPE) peer.gone = true;
  static std::vector<char> buffer(std::size_t{1} << 20);
  while ((count = recv(peer.socket, buffer.data(), buffer.size(), MSG_DONTWAIT)) > 0) {
    peer.in.insert(peer.in.end(), buffer.begin(), buffer.begin() + count);
    moved = true;
  }
  if (count == 0 || (count < 0 && errno == ECONNRESET)) peer.gone = true;
  return moved;
}

}  // namespace

NcclRanks::NcclRanks(const ncclUniqueId& id, int rank, int size, int device)
    : id_(id.internal), rank_(rank), device_(device), peers_(static_cast<std::size_t>(size)) {}

int NcclRanks::bound_socket(const std::string& name) const {
  const int made = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const Address address(id_ + name);
  if (bind(made, address.get(), address.length) == 0) return made;
  close(made);
  return -1;
}

std::string NcclRanks::enter() {
  place_ = bound_socket(text_of(" on device %d", device_));
  if (place_ < 0) return text_of("device %d is another rank's", device_);
  listener_ = bound_socket(text_of(" %d", rank_));
  if (listener_ < 0) return text_of("there is a rank %d", rank_);
  listen(listener_, size());
  return "";
}

// Each process connects to those of lower ranks, under a name that says who it is.
void NcclRanks::connect_to(int rank) {
  const int made = bound_socket(text_of(" %d to %d", rank_, rank));
  const Address address(id_ + text_of(" %d", rank));
  if (connect(made, address.get(), address.length) == 0) {
    peer(rank).socket = made;
  } else {
    close(made);  // it is not there yet
  }
}

void NcclRanks::accept_all() {
  sockaddr_un from{};
  socklen_t length = sizeof from;
  for (int made = 0; (made = accept4(listener_, reinterpret_cast<sockaddr*>(&from), &length,
                                     SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;
       from = {}, length = sizeof from) {
    peer(std::atoi(from.sun_path + 1 + id_.size())).socket = made;
  }
}

ncclResult_t NcclRanks::state() {
  if (state_ != ncclInProgress) return state_;
  for (int lower = 0; lower < rank_; ++lower) {
    if (peer(lower).socket < 0) connect_to(lower);
  }
  accept_all();
  const auto connected = std::count_if(peers_.begin(), peers_.end(),
                                       [](const NcclPeer& peer) { return peer.socket >= 0; });
  if (connected == size() - 1) state_ = ncclSuccess;
  return state_;
}

void NcclRanks::close_all() {
  for (const int socket : {listener_, place_}) {
    if (socket >= 0) close(socket);
  }
  listener_ = place_ = -1;
  for (NcclPeer& peer : peers_) {
    if (peer.socket >= 0) close(peer.socket);
    peer.socket = -1;
  }
}

void NcclRanks::abort() {
  aborted_ = true;
  close_all();
}

void NcclRanks::expect(int rank, const NcclCount& count) {
  put(peer(rank).out, {Kind::expect, count});
}

void NcclRanks::offer(int rank, const NcclCount& count) {
  put(peer(rank).out, {Kind::offer, count});
}

void NcclRanks::send(int rank, const void* bytes, std::size_t count) {
  std::vector<char>& out = peer(rank).out;
  put(out, {Kind::bytes, {count, ncclUint8}});
  const char* begin = static_cast<const char*>(bytes);
  out.insert(out.end(), begin, begin + count);
}

void NcclRanks::read_frames(NcclPeer& peer) {
  std::size_t at = 0;
  Frame frame{};
  while (peer.in.size() - at >= sizeof frame) {
    std::memcpy(&frame, peer.in.data() + at, sizeof frame);
    const char* begin = peer.in.data() + at + sizeof frame;
    if (frame.kind == Kind::bytes) {
      if (peer.in.size() - at - sizeof frame < frame.count.count) break;
      peer.bytes.emplace_back(begin, begin + frame.count.count);
      at += frame.count.count;
    } else {
      (frame.kind == Kind::expect ? peer.expected : peer.offered).push_back(frame.count);
    }
    at += sizeof frame;
  }
  peer.in.erase(peer.in.begin(), peer.in.begin() + static_cast<std::ptrdiff_t>(at));
}

bool NcclRanks::move() {
  bool moved = false, all_sent = true;
  std::vector<pollfd> sockets;
  for (NcclPeer& peer : peers_) {
    if (peer.socket < 0) continue;
    moved = move_bytes(peer) || moved;
    read_frames(peer);
    all_sent = all_sent && peer.out.empty();
    const int events = peer.out.empty() ? POLLIN : POLLIN | POLLOUT;
    if (!peer.gone) sockets.push_back({peer.socket, static_cast<short>(events), 0});
  }
  if (!moved) poll(sockets.data(), sockets.size(), 1);
  return all_sent;
}

}  // namespace emulator
