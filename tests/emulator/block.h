// One thread block: its CUDA threads as fibers, the barriers at which they wait, its shared memory.
#pragma once

#include <array>
#include <cstdint>
#include <source_location>
#include <span>
#include <string>
#include <vector>

#include "tests/emulator/fiber.h"
#include "tests/emulator/shadow.h"
#include "tests/emulator/types.h"

namespace emulator {

using Location = std::source_location;

constexpr unsigned kMostThreads = 1024;
constexpr unsigned kWarp = 32;
constexpr std::size_t kMostDynamicShared = 227 * 1024;  // of a block, on compute capability 9.0
constexpr std::size_t kMostPublished = 128;             // bytes that a lane gives to a collective

// A launch as the scheduler sees it: invoke(arguments.data()) is the kernel's body for one thread,
// and parameters(arguments.data()) are the bytes of each parameter.
struct Launch {
  const char* name = "";
  dim3 grid, block;
  std::size_t dynamic_shared = 0;
  void (*invoke)(const void* arguments) = nullptr;
  std::vector<std::span<const unsigned char>> (*parameters)(const void* arguments) = nullptr;
  std::vector<unsigned char> arguments = {};  // the kernel and its parameters
  int device = 0;
  const void* kernel = nullptr;  // its function's address
};

// Runs every block of the grid, one after another, in the order that the settings choose.
void run_grid(const Launch& launch);

// What a lane gives to the collectives of its warp: two sets in turn, so that one barrier a
// collective is enough while all 32 lanes take part.
struct Published {
  alignas(16) std::array<std::array<std::array<unsigned char, kMostPublished>, kWarp>, 2> lanes;
};

class Block {
 public:
  // The block that is running, or null on the host.
  static Block* running();

  // False if the block was stopped by a fault, which ends the launch.
  bool run(const Launch& launch, std::uint32_t launch_number, unsigned index, dim3 position);

  // Called on a fiber.
  void wait_for_block(Location where);
  void wait_for_warp(unsigned mask, Location where);
  unsigned lane() const { return current_->number % kWarp; }
  unsigned live_lanes() const { return warps_[current_->number / kWarp].live; }
  Published& published() { return warps_[current_->number / kWarp].published; }
  int next_set() { return current_->set ^= 1; }
  void* dynamic_shared() { return &arena_[dynamic_.offset]; }
  // The array that a kernel declares at `key`, the same for all threads of the block.
  void* static_shared(const void* key, std::size_t bytes, std::size_t alignment);
  // Asynchronous copies into shared memory: the bytes land when the thread waits for their group.
  void copy_async(void* to, const void* from, std::size_t bytes);
  void commit_copies();
  void wait_for_copies(unsigned groups_left);

  // Ends the launch, before the running thread does the access that the checker refused.
  [[noreturn]] void stop();

  // For the checker and for reports.
  const char* kernel_name() const { return launch_->name; }
  std::string position() const;  // "block (0,0,0) thread (31,0,0)"
  int device() const { return launch_->device; }
  bool owns_stack(const void* address) const;          // of the running thread
  bool other_stack(const void* address) const;         // of another thread
  bool is_argument(const void* address) const;         // among the kernel's parameters
  bool is_own_bookkeeping(const void* address) const;  // of the scheduler and the collectives
  bool in_arena(const void* address) const;
  // The cells of a range of shared memory that lies in one array; null where it does not.
  Cell* shared_cells(const void* address, std::size_t bytes);
  Present present(std::size_t bytes) const;  // an access of the running thread, but for its site

 private:
  enum class State : std::uint8_t { ready, at_block_barrier, at_warp_barrier, done };

  struct PendingCopy {
    void* to;
    std::vector<unsigned char> bytes;
    unsigned group;
  };
  struct Thread {
    void* stopped_at = nullptr;  // the fiber's stack pointer
    uint3 index{};
    unsigned number = 0;
    State state = State::ready;
    Location where;
    unsigned mask = 0;
    int set = 0;  // of Published
    unsigned copy_group = 0;
    std::vector<PendingCopy> copies;
  };
  struct Warp {
    Published published;
    unsigned live = 0;  // lanes that have not returned
    std::uint32_t epoch = 1;
  };
  struct SharedArray {
    const void* key = nullptr;
    std::size_t offset = 0, bytes = 0;
  };

  static void thread_main();
  void start_threads();
  void give_way();
  void release(std::vector<unsigned>& threads);
  bool try_block_barrier();
  bool try_warp_barrier(unsigned warp, unsigned mask);
  void report_deadlock();
  void poison(const SharedArray& array);
  SharedArray place(const void* key, std::size_t bytes, std::size_t alignment);

  const Launch* launch_ = nullptr;
  std::uint32_t launch_number_ = 0, block_epoch_ = 1;
  unsigned index_ = 0, live_ = 0, waiting_ = 0;
  bool stopped_ = false;
  std::vector<Thread> threads_;
  std::vector<Warp> warps_;
  std::vector<unsigned> ready_;  // a queue: threads that can run, from first_ready_
  std::size_t first_ready_ = 0;
  Thread* current_ = nullptr;
  void* scheduler_at_ = nullptr;
  char* stacks_ = nullptr;
  std::vector<unsigned char> arena_;  // shared memory, with room between the arrays
  std::vector<Cell> cells_;
  std::vector<SharedArray> arrays_;
  SharedArray dynamic_;
  std::size_t used_ = 0;
  std::uint64_t random_ = 1;
};

}  // namespace emulator
