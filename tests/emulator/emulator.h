// What a test sets and reads of the emulated device. The device itself is used through the CUDA
// runtime's own names, from include/cuda_runtime.h.
//
// Everything runs on the thread that calls: nothing happens at a launch or an asynchronous copy
// under Schedule::late, and all of it at once under Schedule::eager. Not for use from several host
// threads at the same time.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace emulator {

// The order in which the threads of a block run between two barriers, and the blocks of a grid.
enum class Order { ascending, descending, random };

// When queued work is done: when something waits for it, as soon as it is queued, or, whenever more
// is queued, as much of each stream as chance says. In the last, streams overtake each other where
// no event keeps them from it.
enum class Schedule { late, eager, random };

struct Settings {
  Order order = Order::ascending;
  std::uint64_t seed = 1;  // of Order::random and Schedule::random
  Schedule schedule = Schedule::late;
  int devices = 1;  // that cudaGetDeviceCount reports; the environment's EMULATED_DEVICES, if given
  std::size_t device_bytes = std::size_t{8}
                             << 30;  // memory of each, for cudaMalloc and cudaMemGetInfo
};
// May be changed while no work is queued.
Settings& settings();

enum class FaultKind {
  divergence,     // threads of a block or warp wait at different places, or for each other
  race,           // two accesses, at least one a write, that no barrier orders
  out_of_bounds,  // an address outside of every allocation, or memory that a kernel may not touch
  uninitialized,  // a read of memory that was never written
  misaligned,     // an address that is no multiple of the size of the access
  usage,          // a call of the runtime, cuBLAS or NCCL that a real device would refuse or spoil
};

struct Fault {
  FaultKind kind;
  std::string kernel;  // empty outside of kernels
  std::string text;    // one line: kernel, block, thread, what happened, address, source line
};
// Faults since the last clear, the first hundred of them. Races, bounds and uninitialized reads are
// seen only in kernels that were compiled for the checker (docs/emulator.md).
const std::vector<Fault>& faults();
std::uint64_t fault_count();
void clear_faults();

// What the host asked of the runtime since the last reset.
struct Counters {
  std::uint64_t launches = 0;  // of kernels, those of graphs included
  std::uint64_t graph_launches = 0;
  std::uint64_t submissions = 0;  // calls that launch a kernel or a graph, but for recorded ones
  std::uint64_t waits = 0;        // calls in which the host waits for a device
  std::uint64_t allocations = 0;  // of device memory
  std::uint64_t copies = 0;       // between host and device, either way
  std::uint64_t bytes_copied = 0;
};
Counters& counters();

// Whether accesses of kernels to memory are checked: those of kernels that were compiled for the
// checker, and of all that are interpreted (docs/emulator.md).
bool checking();

}  // namespace emulator
