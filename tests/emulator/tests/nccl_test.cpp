// NCCL between emulated devices, each of a process of its own.
#include <doctest/doctest.h>
#include <nccl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/emulator/emulator.h"
#include "tests/emulator/tests/device_memory.h"
#include "tests/emulator/tests/good_kernels.h"

namespace emulator::test {
namespace {

// One of the processes, as the calls under test see it.
struct Member {
  int rank;
  ncclComm_t ranks;
  cudaStream_t stream;

  ncclResult_t state() const {
    ncclResult_t state = ncclSuccess;
    ncclCommGetAsyncError(ranks, &state);
    return state;
  }
  // Until all that was asked for is done, or something is wrong.
  void wait() const {
    while (state() == ncclSuccess && cudaStreamQuery(stream) == cudaErrorNotReady) {
    }
  }
};

using Part = std::function<std::string(const Member&)>;

// A process's part, and then the faults that it made.
std::string run_rank(int rank, int size, const ncclUniqueId& id, const Part& part) {
  settings().devices = size;
  Member member{rank, nullptr, nullptr};
  cudaSetDevice(rank);
  cudaStreamCreateWithFlags(&member.stream, cudaStreamNonBlocking);
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  ncclCommInitRankConfig(&member.ranks, size, id, rank, &config);
  while (member.state() == ncclInProgress) {
  }
  std::string said = part(member);
  for (const Fault& fault : faults()) said += fault.text + "\n";
  return said;
}

constexpr int kSize = 3;
constexpr std::size_t kCount = 200000;  // more than a socket takes at once

// Runs the part in as many processes, and returns what each said.
std::vector<std::string> run_ranks(int size, const Part& part) {
  ncclUniqueId id;
  ncclGetUniqueId(&id);
  std::vector<std::pair<pid_t, int>> children;
  for (int rank = 0; rank < size; ++rank) {
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    const pid_t child = fork();
    if (child == 0) {
      alarm(20);
      const std::string said = run_rank(rank, size, id, part);
      _exit(write(ends[1], said.data(), said.size()) == static_cast<ssize_t>(said.size()) ? 0 : 1);
    }
    close(ends[1]);
    children.emplace_back(child, ends[0]);
  }
  std::vector<std::string> all;
  for (const auto& [child, end] : children) {
    std::string& said = all.emplace_back();
    char text[4096];
    for (ssize_t count = 0; (count = read(end, text, sizeof text)) > 0;) {
      said.append(text, static_cast<std::size_t>(count));
    }
    close(end);
    int status = 0;
    waitpid(child, &status, 0);
    CHECK(status == 0);
  }
  return all;
}

TEST_CASE("nccl: the messages of a group go all ways at once, in their order") {
  const Part part = [](const Member& me) -> std::string {
    std::vector<std::unique_ptr<DeviceMemory<int>>> sent, received;
    ncclGroupStart();
    for (int peer = 0; peer < kSize; ++peer) {
      for (int message = 0; peer != me.rank && message < 2; ++message) {
        const std::vector<int> values(kCount, 100 * me.rank + 10 * peer + message);
        sent.push_back(std::make_unique<DeviceMemory<int>>(values));
        received.push_back(std::make_unique<DeviceMemory<int>>(kCount));
        ncclSend(sent.back()->data(), kCount, ncclInt32, peer, me.ranks, me.stream);
        ncclRecv(received.back()->data(), kCount, ncclInt32, peer, me.ranks, me.stream);
      }
    }
    if (ncclGroupEnd() != ncclSuccess) return "refused";
    me.wait();
    std::string all;
    for (const auto& memory : received) {
      const std::vector<int> values = memory->read();
      all += std::to_string(values.front()) + " " + std::to_string(values.back()) + " ";
    }
    return all;
  };
  const std::vector<std::string> said = run_ranks(kSize, part);
  CHECK(said[0] == "100 100 101 101 200 200 201 201 ");
  CHECK(said[1] == "10 10 11 11 210 210 211 211 ");
  CHECK(said[2] == "20 20 21 21 120 120 121 121 ");
}

TEST_CASE("nccl: a message is behind what its stream was asked for before, and before the rest") {
  const Part part = [](const Member& me) {
    DeviceMemory<float> memory(std::vector<float>(4, 10.0F * static_cast<float>(me.rank)));
    increment(memory.data(), 4, me.stream);
    if (me.rank == 0) {
      ncclSend(memory.data(), 4, ncclFloat32, 1, me.ranks, me.stream);
    } else {
      ncclRecv(memory.data(), 4, ncclFloat32, 0, me.ranks, me.stream);
    }
    increment(memory.data(), 4, me.stream);
    cudaStreamSynchronize(me.stream);
    return std::to_string(memory.read()[3]);
  };
  const std::vector<std::string> said = run_ranks(2, part);
  CHECK(said[0] == "2.000000");
  CHECK(said[1] == "2.000000");
}

// Both processes do this, and the first must be told of its mistake.
void check_fault(const std::string& text,
                 const std::function<void(const Member&, int* a, int* b)>& f) {
  const Part part = [&](const Member& me) {
    DeviceMemory<int> a(std::vector<int>(8, 1)), b(8);
    f(me, a.data(), b.data());
    me.wait();
    ncclCommAbort(me.ranks);  // or memory could not be freed while some of it is under way
    return std::string();
  };
  CAPTURE(text);
  const std::string said = run_ranks(2, part)[0];
  INFO(said);
  CHECK(said.find(text) != std::string::npos);
}

TEST_CASE("nccl: mistakes are reported") {
  const auto message = [](const Member& me, int* memory, std::size_t count, ncclDataType_t type) {
    if (me.rank == 0) {
      ncclSend(memory, count, type, 1, me.ranks, me.stream);
    } else {
      ncclRecv(memory, 4, ncclInt32, 0, me.ranks, me.stream);
    }
  };
  check_fault("ncclSend of 3 elements of type 2 to rank 1, which has 4 of type 2",
              [&](const Member& me, int* a, int*) { message(me, a, 3, ncclInt32); });
  check_fault("ncclSend of 4 elements of type 7 to rank 1, which has 4 of type 2",
              [&](const Member& me, int* a, int*) { message(me, a, 4, ncclFloat32); });
  check_fault("ncclSend: 16 bytes at", [](const Member& me, int*, int*) {
    int host[4] = {};
    ncclSend(host, 4, ncclInt32, 1 - me.rank, me.ranks, me.stream);
  });
  check_fault("ncclRecv: 36 bytes at", [](const Member& me, int*, int* b) {
    ncclRecv(b, 9, ncclInt32, 1 - me.rank, me.ranks, me.stream);
  });
  check_fault(
      "ncclSend with rank 2, which is this one or is not there",
      [](const Member& me, int* a, int*) { ncclSend(a, 4, ncclInt32, 2, me.ranks, me.stream); });
  check_fault("each waits for the other to receive", [](const Member& me, int* a, int* b) {
    ncclSend(a, 4, ncclInt32, 1 - me.rank, me.ranks, me.stream);
    ncclRecv(b, 4, ncclInt32, 1 - me.rank, me.ranks, me.stream);
  });
  check_fault("on a stream of another device", [](const Member& me, int* a, int*) {
    cudaSetDevice(1 - me.rank);
    ncclSend(a, 4, ncclInt32, 1 - me.rank, me.ranks, nullptr);
  });
  check_fault("ncclGroupEnd without ncclGroupStart",
              [](const Member&, int*, int*) { ncclGroupEnd(); });
}

TEST_CASE("nccl: a rank or a device that is another's is refused") {
  settings().devices = 2;
  ncclUniqueId id;
  ncclGetUniqueId(&id);
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  const auto enter = [&](int rank, int device) {
    clear_faults();
    cudaSetDevice(device);
    ncclComm_t ranks = nullptr;
    const ncclResult_t result = ncclCommInitRankConfig(&ranks, 3, id, rank, &config);
    if (ranks == nullptr) CHECK(result == ncclInvalidUsage);
    return faults().empty() ? "" : faults().front().text;
  };
  CHECK(enter(0, 0) == "");
  CHECK(enter(1, 0) == "ncclCommInitRank: device 0 is another rank's");
  CHECK(enter(0, 1) == "ncclCommInitRank: there is a rank 0");
  CHECK(enter(1, 1) == "");
  clear_faults();
  cudaGetLastError();
  cudaSetDevice(0);
  settings().devices = 1;
}

TEST_CASE("nccl: a process that is gone is noticed, and its messages are given up") {
  const Part part = [](const Member& me) -> std::string {
    if (me.rank == 1) return "";
    DeviceMemory<int> memory(4);
    ncclRecv(memory.data(), 4, ncclInt32, 1, me.ranks, me.stream);
    me.wait();
    const ncclResult_t state = me.state();
    ncclCommAbort(me.ranks);
    cudaStreamSynchronize(me.stream);
    return ncclGetErrorString(state);
  };
  CHECK(run_ranks(2, part)[0] == "remote process exited or there was a network error");
}

}  // namespace
}  // namespace emulator::test
