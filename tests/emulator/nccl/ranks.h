// The processes of an emulated communicator of NCCL, and the sockets between them.
#pragma once

#include <nccl.h>

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

namespace emulator {

// What a process says of a call before any elements move: how many of which type.
struct NcclCount {
  std::uint64_t count = 0;
  std::int32_t type = 0;
  bool operator==(const NcclCount&) const = default;
};

// Another process, as far as it was heard of. Each list is in the order of that process's calls.
struct NcclPeer {
  int socket = -1;
  bool gone = false;
  std::deque<NcclCount> expected;       // its receives from this process
  std::deque<NcclCount> offered;        // its sends to this process
  std::deque<std::vector<char>> bytes;  // of those
  std::vector<char> in, out;            // on their way
};

class NcclRanks {
 public:
  NcclRanks(const ncclUniqueId& id, int rank, int size, int device);
  ~NcclRanks() { close_all(); }
  NcclRanks(const NcclRanks&) = delete;
  NcclRanks& operator=(const NcclRanks&) = delete;

  // Takes a place among the others, with its device; a reason, if it is taken.
  std::string enter();
  // Goes on connecting; ncclInProgress until all are.
  ncclResult_t state();
  void fail(ncclResult_t error) { state_ = error; }
  void abort();
  bool aborted() const { return aborted_; }

  int rank() const { return rank_; }
  int device() const { return device_; }
  bool has_peer(int rank) const { return rank >= 0 && rank < size() && rank != rank_; }
  NcclPeer& peer(int rank) { return peers_[static_cast<std::size_t>(rank)]; }

  // Puts these on their way to another process.
  void expect(int rank, const NcclCount& count);
  void offer(int rank, const NcclCount& count);
  void send(int rank, const void* bytes, std::size_t count);
  // Moves what can be moved now, and waits a millisecond where that is nothing. Whether all is
  // sent.
  bool move();

 private:
  int size() const { return static_cast<int>(peers_.size()); }
  int bound_socket(const std::string& name) const;
  void connect_to(int rank);
  void accept_all();
  void close_all();
  static void read_frames(NcclPeer& peer);

  std::string id_;
  int rank_, device_;
  int listener_ = -1, place_ = -1;
  std::vector<NcclPeer> peers_;
  ncclResult_t state_ = ncclInProgress;
  bool aborted_ = false;
};

}  // namespace emulator
